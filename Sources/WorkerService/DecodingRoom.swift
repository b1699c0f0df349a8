// SPDX-License-Identifier: GPL-3.0-or-later
import Decoding
import Foundation
import Imaging
import Logging
import ModelPackage
import Results
import Sandbox
import Statements
import Synchronization
import Triage
import WorkerStore
import ZeroMQ

/// The threads that turn delivered instances into model inputs.
///
/// Each thread has a decoder process of its own, so that an instance that crashes or hangs a codec costs itself only. It
/// opens an instance, asks which versions read it, and hands its frames to the scorer in small jobs, so that an instance
/// of ten thousand frames needs no more memory than a few.
final class DecodingRoom: Sendable {
    private let deliveries: Conveyor<Delivery>
    private let jobs: Conveyor<ScoringJob>
    private let events: Conveyor<DeskEvent>
    private let models: LiveModels
    private let shelf: ModelShelf
    private let store: WorkerStore
    private let batchSlices: Int
    private let expectedCounts: [CountRule]
    private let board: StatusBoard
    private let log: Logger
    private let seats: [DecoderSeat]
    private let threads = Mutex<[ZeroMQ.Thread]>([])
    private let isStopping = Atomic<Bool>(false)

    /// - Throws: `SettingsError` when there is no decoder to start.
    init(
        settings: WorkerSettings, deliveries: Conveyor<Delivery>, jobs: Conveyor<ScoringJob>,
        events: Conveyor<DeskEvent>, models: LiveModels, shelf: ModelShelf, store: WorkerStore, board: StatusBoard,
        log: Logger
    ) throws {
        self.deliveries = deliveries
        self.jobs = jobs
        self.events = events
        self.models = models
        self.shelf = shelf
        self.store = store
        self.board = board
        self.log = log
        batchSlices = settings.batchSlices
        expectedCounts = settings.expectedCounts
        let decoders = try settings.decoders()
        seats = (0..<settings.decodeThreads).map { _ in
            DecoderSeat(decoders) { error in
                log.warning("\(error)")
                board.decoderFailed(error.name)
            }
        }
        do {
            for seat in seats {
                let thread = ZeroMQ.Thread { [self] in self.run(seat) }
                try thread.start()
                threads.withLock { $0.append(thread) }
            }
        } catch {
            deliveries.close()
            stop()
            throw error
        }
    }

    /// Ends the threads; the conveyors have to be closed first.
    func stop() {
        isStopping.store(true, ordering: .relaxed)
        for seat in seats { seat.interrupt() }
        threads.withLock { threads in
            defer { threads = [] }
            return threads
        }.forEach { $0.join() }
    }

    private func run(_ seat: DecoderSeat) {
        _ = decoded { () throws(DecoderError) in try seat.start() }
        if let layers = seat.layers, board.decoderStarted(layers) { log.tell(layers, confine: "decoders") }
        while let delivery = deliveries.take() {
            if let reading = read(delivery, seat) { events.put(.reading(reading)) }
            seat.close()
        }
        seat.stop()
    }

    /// Nil when the scorer will finish the instance, or the worker stops.
    private func read(_ delivery: Delivery, _ seat: DecoderSeat) -> InstanceReading? {
        let arrival = delivery.arrival
        func unreadable(_ name: String, _ reason: String) -> InstanceReading {
            InstanceReading(arrival: arrival, identity: nil, outcome: .setAside(name: name, reason: reason))
        }
        let opened = decoded { () throws(DecoderError) in
            try seat.open(bytes: delivery.bytes) { delivery.pieces.copy(to: $0) }
        }
        switch opened {
        case nil: return nil
        case .failure(let error): return unreadable(error.name, error.description)
        case .success(let header):
            guard let study = header.studyInstanceUID, let sop = header.sopInstanceUID else {
                // An instance that breaks off or is malformed before its UIDs may have them all the same.
                if case .failure(let error) = header.image, [.truncated, .malformed].contains(error.reason) {
                    return unreadable(error.name, error.description)
                }
                let missing = header.studyInstanceUID == nil ? "StudyInstanceUID" : "SOPInstanceUID"
                return unreadable("no-uid", "no-uid: the instance has no valid \(missing)")
            }
            let identity = InstanceReading.Identity(
                study: StudyHeader(studyInstanceUID: study.text, header), sopInstanceUID: sop.text,
                expected: ExpectedCounts(header, rules: expectedCounts),
                sopClassUID: header.sopClassUID?.text ?? "", seriesInstanceUID: header.seriesInstanceUID?.text ?? "")
            if OwnResult.matches(manufacturer: header.manufacturer, sopClassUID: header.sopClassUID?.text) {
                return InstanceReading(arrival: arrival, identity: identity, outcome: .ownResult)
            }
            if let kind = header.sopClassUID.flatMap({ DocumentKind(sopClassUID: $0.text) }) {
                switch decoded({ () throws(DecoderError) in try seat.document() }) {
                case nil: return nil
                // Without an identity: a document that cannot be read is no part of its study either.
                case .failure(let error): return unreadable(error.name, error.description)
                case .success(let document):
                    return InstanceReading(arrival: arrival, identity: identity, outcome: .document(document, kind))
                }
            }
            return read(header, identity, arrival, seat)
        }
    }

    private func read(
        _ header: InstanceHeader, _ identity: InstanceReading.Identity, _ arrival: Arrival, _ seat: DecoderSeat
    ) -> InstanceReading? {
        let key = StudyKey(gateway: arrival.gateway, studyInstanceUID: identity.study.studyInstanceUID)
        func reading(_ outcome: InstanceReading.Outcome) -> InstanceReading {
            InstanceReading(arrival: arrival, identity: identity, outcome: outcome)
        }
        let isScored = persistently {
            try store.read { try $0.instance(key, identity.sopInstanceUID)?.outcome == .scored }
        }
        guard let isScored else { return nil }
        if isScored { return reading(.repeated) }
        let traits = LiveModels.Traits(
            study: key, modality: header.modality ?? "", bodyPart: header.bodyPart ?? "",
            sopClassUID: header.sopClassUID?.text ?? "")
        let choice = persistently {
            try models.choose(traits) { try store.read { try shelf.models(readingStudy: key, $0) } }
        }
        switch choice {
        case nil: return nil
        case .ignore(let reason): return reading(.ignored(reason: reason))
        case .setAside(let reason): return reading(.setAside(name: InstanceWork.modelSetAside, reason: reason))
        case .read(let chosen):
            switch header.image {
            case .failure(let error): return reading(.setAside(name: error.name, reason: error.description))
            case .success(let image):
                let work = InstanceWork(arrival: arrival, identity: identity, models: chosen, frames: image.frames)
                return queue(image, work, seat)
            }
        }
    }

    /// Nil as in `read`.
    private func queue(_ image: InstanceHeader.Image, _ work: InstanceWork, _ seat: DecoderSeat) -> InstanceReading? {
        let plan = PreprocessingPlan(work.models.map(\.manifest.preprocessing))
        let most = min(batchSlices, seat.mostFrames(plan), max(1, Self.mostSamples / image.samplesPerFrame))
        for first in stride(from: 0, to: image.frames, by: most) {
            let frames = first..<min(first + most, image.frames)
            switch decoded({ () throws(DecoderError) in try seat.prepare(frames, for: plan) }) {
            case nil: return nil
            case .failure(let error): return work.close(failure: (error.name, error.description))
            case .success(let inputs):
                for (index, inputs) in inputs.enumerated() {
                    keep(inputs, frames.count, first, image.frames, index, work)
                    let job = ScoringJob(
                        work: work, modelIndex: index, firstFrame: first, frames: frames.count, inputs: inputs)
                    work.jobQueued()
                    if !jobs.put(job, bytes: job.bytes) { return nil }
                }
            }
        }
        return work.close()
    }

    /// A decoder is asked for so many samples at a time, which it decodes in seconds, so that its silence means something.
    private static let mostSamples = 1 << 26

    /// Of a long multi-frame instance every nth frame is kept for training: the example has a bound, the score has not.
    private func keep(
        _ inputs: [Float], _ frames: Int, _ first: Int, _ total: Int, _ index: Int, _ work: InstanceWork
    ) {
        let stride = (total + Self.mostFramesKept - 1) / Self.mostFramesKept
        if stride == 1 {
            work.keep(InstanceReading.KeptSlices(values: inputs, count: frames), modelIndex: index)
            return
        }
        let values = inputs.count / frames
        for offset in 0..<frames where (first + offset) % stride == 0 {
            let slice = Array(inputs[offset * values..<(offset + 1) * values])
            work.keep(InstanceReading.KeptSlices(values: slice, count: 1), modelIndex: index)
        }
    }

    private static let mostFramesKept = 256

    /// What a decoder says. Repeats what says nothing about the instance until it works; nil when the worker stops.
    private func decoded<Value>(_ body: () throws(DecoderError) -> Value) -> Result<Value, ImagingError>? {
        while !isStopping.load(ordering: .relaxed) {
            do throws(DecoderError) {
                return .success(try body())
            } catch {
                switch error {
                case .instance(let error): return .failure(error)
                case .interrupted: return nil
                case .unavailable:
                    log.error("\(error); trying again")
                    usleep(500_000)
                }
            }
        }
        return nil
    }

    /// Repeats a read of the database until it works, since an instance must not be lost to a passing error; nil when
    /// the worker stops.
    private func persistently<Value>(_ body: () throws -> Value) -> Value? {
        var isFirst = true
        while !isStopping.load(ordering: .relaxed), !store.isDamaged {
            do {
                return try body()
            } catch {
                if isFirst { log.error("worker.sqlite cannot be read, trying again: \(error)") }
                isFirst = false
                usleep(500_000)
            }
        }
        return nil
    }
}

extension StudyHeader {
    fileprivate init(studyInstanceUID: String, _ header: InstanceHeader) {
        self.init(
            studyInstanceUID: studyInstanceUID, patientID: header.patientID ?? "",
            patientName: header.patientName ?? "", birthDate: header.birthDate ?? "",
            description: header.studyDescription ?? "", modality: header.modality ?? "",
            accessionNumber: header.accessionNumber ?? "", studyDate: header.studyDate ?? "")
    }
}
