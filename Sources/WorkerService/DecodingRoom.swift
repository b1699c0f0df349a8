// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import Logging
import ModelPackage
import Results
import Synchronization
import WorkerStore
import ZeroMQ

/// The threads that turn delivered instances into model inputs.
///
/// Each thread opens an instance in the bytes it came with, asks which versions read it, and hands its frames to the
/// scorer in small jobs, so that an instance of ten thousand frames needs no more memory than a few.
final class DecodingRoom: Sendable {
    private let deliveries: Conveyor<Delivery>
    private let jobs: Conveyor<ScoringJob>
    private let events: Conveyor<DeskEvent>
    private let models: LiveModels
    private let shelf: ModelShelf
    private let store: WorkerStore
    private let batchSlices: Int
    private let log: Logger
    private let threads = Mutex<[ZeroMQ.Thread]>([])
    private let isStopping = Atomic<Bool>(false)

    init(
        settings: WorkerSettings, deliveries: Conveyor<Delivery>, jobs: Conveyor<ScoringJob>,
        events: Conveyor<DeskEvent>, models: LiveModels, shelf: ModelShelf, store: WorkerStore, log: Logger
    ) throws {
        self.deliveries = deliveries
        self.jobs = jobs
        self.events = events
        self.models = models
        self.shelf = shelf
        self.store = store
        self.log = log
        batchSlices = settings.batchSlices
        for _ in 0..<settings.decodeThreads {
            let thread = ZeroMQ.Thread { [self] in self.run() }
            try thread.start()
            threads.withLock { $0.append(thread) }
        }
    }

    /// Ends the threads; the conveyors have to be closed first.
    func stop() {
        isStopping.store(true, ordering: .relaxed)
        threads.withLock { threads in
            defer { threads = [] }
            return threads
        }.forEach { $0.join() }
    }

    private func run() {
        let frame = Imaging.Frame()
        while let delivery = deliveries.take() {
            if let reading = read(delivery, frame) { events.put(.reading(reading)) }
        }
    }

    /// Nil when the scorer will finish the instance.
    private func read(_ delivery: Delivery, _ frame: Imaging.Frame) -> InstanceReading? {
        let arrival = delivery.arrival
        return delivery.payload.withUnsafeBytes { bytes in
            do throws(ImagingError) {
                return try InstanceReader.read(bytes) { reader throws(ImagingError) in
                    try self.read(reader, arrival, frame)
                }
            } catch {
                return InstanceReading(
                    arrival: arrival, identity: nil, outcome: .setAside(name: error.name, reason: error.description))
            }
        }
    }

    private func read(
        _ reader: borrowing InstanceReader, _ arrival: Arrival, _ frame: Imaging.Frame
    ) throws(ImagingError) -> InstanceReading? {
        let instance = reader.instance
        guard let study = instance.studyInstanceUID, let sop = instance.sopInstanceUID else {
            let missing = instance.studyInstanceUID == nil ? "StudyInstanceUID" : "SOPInstanceUID"
            return InstanceReading(
                arrival: arrival, identity: nil,
                outcome: .setAside(name: "no-uid", reason: "no-uid: the instance has no valid \(missing)"))
        }
        let identity = InstanceReading.Identity(
            study: StudyHeader(studyInstanceUID: study.text, instance), sopInstanceUID: sop.text,
            expectedInstances: instance.numberOfStudyRelatedInstances,
            sopClassUID: instance.sopClassUID?.text ?? "", seriesInstanceUID: instance.seriesInstanceUID?.text ?? "")
        func reading(_ outcome: InstanceReading.Outcome) -> InstanceReading {
            InstanceReading(arrival: arrival, identity: identity, outcome: outcome)
        }
        if OwnResult.matches(manufacturer: instance.manufacturer, sopClassUID: instance.sopClassUID?.text) {
            return reading(.ownResult)
        }
        let key = StudyKey(gateway: arrival.gateway, studyInstanceUID: study.text)
        let isScored = persistently { try store.read { try $0.instance(key, sop.text)?.outcome == .scored } }
        guard let isScored else { return nil }
        if isScored { return reading(.repeated) }
        let traits = LiveModels.Traits(
            study: key, modality: instance.modality ?? "", bodyPart: instance.bodyPart ?? "",
            sopClassUID: instance.sopClassUID?.text ?? "")
        let choice = persistently {
            try models.choose(traits) { try store.read { try shelf.models(readingStudy: key, $0) } }
        }
        switch choice {
        case nil: return nil
        case .ignore(let reason): return reading(.ignored(reason: reason))
        case .read(let chosen):
            if case .failure(let error) = instance.image {
                return reading(.setAside(name: error.name, reason: error.description))
            }
            let work = InstanceWork(
                arrival: arrival, identity: identity, models: chosen, frames: instance.numberOfFrames)
            do throws(ImagingError) {
                try queueFrames(of: reader, work, frame)
                return work.close()
            } catch {
                return work.close(failure: (error.name, error.description))
            }
        }
    }

    private func queueFrames(
        of reader: borrowing InstanceReader, _ work: InstanceWork, _ frame: Imaging.Frame
    ) throws(ImagingError) {
        let count = reader.instance.numberOfFrames
        var preprocessors: [Preprocessor] = []
        for model in work.models { preprocessors.append(try Preprocessor(model.manifest.preprocessing)) }
        var first = 0
        while first < count {
            let frames = min(batchSlices, count - first)
            var inputs = preprocessors.map { [Float](repeating: 0, count: frames * $0.preprocessing.valuesPerInput) }
            for offset in 0..<frames {
                try reader.decode(first + offset, into: frame)
                for (index, preprocessor) in preprocessors.enumerated() {
                    let values = preprocessor.preprocessing.valuesPerInput
                    try withSpan(of: &inputs[index], from: offset * values, count: values) {
                        buffer throws(ImagingError) in
                        try preprocessor.prepare(frame, into: buffer)
                    }
                }
            }
            for (index, inputs) in inputs.enumerated() {
                keep(inputs, frames, first, count, index, work)
                let job = ScoringJob(work: work, modelIndex: index, firstFrame: first, frames: frames, inputs: inputs)
                work.jobQueued()
                if !jobs.put(job, bytes: job.bytes) { return }
            }
            first += frames
        }
    }

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

    private func withSpan(
        of values: inout [Float], from start: Int, count: Int,
        _ body: (UnsafeMutableBufferPointer<Float>) throws(ImagingError) -> Void
    ) throws(ImagingError) {
        var failure: ImagingError?
        values.withUnsafeMutableBufferPointer { buffer in
            do throws(ImagingError) {
                try body(UnsafeMutableBufferPointer(rebasing: buffer[start..<start + count]))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    /// Repeats a read of the database until it works, since an instance must not be lost to a passing error; nil when
    /// the worker stops.
    private func persistently<Value>(_ body: () throws -> Value) -> Value? {
        while !isStopping.load(ordering: .relaxed) {
            do {
                return try body()
            } catch {
                log.error("worker.sqlite cannot be read, trying again: \(error)")
                usleep(500_000)
            }
        }
        return nil
    }
}

extension StudyHeader {
    fileprivate init(studyInstanceUID: String, _ instance: DicomInstance) {
        self.init(
            studyInstanceUID: studyInstanceUID, patientID: instance.patientID ?? "",
            patientName: instance.patientName ?? "", birthDate: instance.birthDate ?? "",
            description: instance.studyDescription ?? "", modality: instance.modality ?? "",
            accessionNumber: instance.accessionNumber ?? "", studyDate: instance.studyDate ?? "")
    }
}
