// SPDX-License-Identifier: GPL-3.0-or-later
import Imaging

/// What the worker and a decoder process say to each other: a verb's byte, then fields as 32-bit length and UTF-8 text.
/// Instances and model inputs do not travel, they lie in shared memory.
enum DecoderMessage: Equatable {
    /// From a decoder that has started.
    case ready
    /// The input memory begins with an instance of so many bytes, of which some elements are wanted beside the header; the
    /// answer is `opened` or `failed`.
    case open(bytes: Int, elements: [ElementAddress] = [])
    case opened(InstanceHeader)
    /// Prepare frames of the open instance for models, whose preprocessings are given as a JSON array; the answer is
    /// `prepared` or `failed`.
    case prepare(first: Int, count: Int, plan: String)
    /// The output memory holds the inputs: model after model, for each its frames.
    case prepared
    /// Read the open instance as a report or key object selection; the answer is `described`.
    case describe
    /// The output memory begins with so many bytes of a `ReportDocument` as JSON.
    case described(bytes: Int)
    /// Say where `prepare` puts a frame of the open instance; the answer is `placed` or `failed`.
    case place(frame: Int, plan: String)
    /// One placement for each preprocessing.
    case placed([InputPlacement])
    case failed(ImagingError)

    /// No message is longer; what is longer is damaged.
    static let mostBytes = 160 << 10

    /// No document is longer as JSON.
    static let mostDocumentBytes = 8 << 20

    /// A question that only a decoder with an open instance can answer.
    var isAboutInstance: Bool {
        switch self {
        case .prepare, .place, .describe: true
        default: false
        }
    }

    private enum Verb: UInt8 {
        case ready = 1, open, opened, prepare, prepared, failed, describe, described, place, placed
    }

    var bytes: [UInt8] {
        switch self {
        case .ready: Self.bytes(.ready, [])
        case .open(let bytes, let elements): Self.bytes(.open, [String(bytes)] + elements.map(\.text))
        case .opened(let header): Self.bytes(.opened, header.fields)
        case .prepare(let first, let count, let plan): Self.bytes(.prepare, [String(first), String(count), plan])
        case .prepared: Self.bytes(.prepared, [])
        case .describe: Self.bytes(.describe, [])
        case .described(let bytes): Self.bytes(.described, [String(bytes)])
        case .place(let frame, let plan): Self.bytes(.place, [String(frame), plan])
        case .placed(let placements): Self.bytes(.placed, placements.flatMap(\.fields))
        case .failed(let error): Self.bytes(.failed, [error.name, error.detail])
        }
    }

    /// Nil when the bytes are no message.
    init?(_ bytes: some Collection<UInt8>) {
        guard let first = bytes.first, let verb = Verb(rawValue: first), let fields = Self.fields(bytes.dropFirst())
        else { return nil }
        switch (verb, fields.count) {
        case (.ready, 0): self = .ready
        case (.open, 1...):
            let elements = fields.dropFirst().compactMap { ElementAddress(text: $0) }
            guard let bytes = Int(fields[0]), bytes >= 0, elements.count == fields.count - 1 else { return nil }
            self = .open(bytes: bytes, elements: elements)
        case (.opened, InstanceHeader.fieldCount...):
            guard let header = InstanceHeader(fields) else { return nil }
            self = .opened(header)
        case (.prepare, 3):
            guard let first = Int(fields[0]), let count = Int(fields[1]), first >= 0, count > 0 else { return nil }
            self = .prepare(first: first, count: count, plan: fields[2])
        case (.prepared, 0): self = .prepared
        case (.describe, 0): self = .describe
        case (.described, 1):
            guard let bytes = Int(fields[0]), bytes >= 0 else { return nil }
            self = .described(bytes: bytes)
        case (.place, 2):
            guard let frame = Int(fields[0]), frame >= 0 else { return nil }
            self = .place(frame: frame, plan: fields[1])
        case (.placed, let count) where count % InputPlacement.fieldCount == 0:
            let placements = stride(from: 0, to: count, by: InputPlacement.fieldCount).map {
                InputPlacement(Array(fields[$0..<$0 + InputPlacement.fieldCount]))
            }
            guard placements.allSatisfy({ $0 != nil }) else { return nil }
            self = .placed(placements.compactMap(\.self))
        case (.failed, 2): self = .failed(ImagingError(name: fields[0], detail: fields[1]))
        default: return nil
        }
    }

    private static func bytes(_ verb: Verb, _ fields: [String]) -> [UInt8] {
        var bytes = [verb.rawValue]
        for field in fields {
            let text = field.utf8
            withUnsafeBytes(of: UInt32(text.count).littleEndian) { bytes.append(contentsOf: $0) }
            bytes.append(contentsOf: text)
        }
        return bytes
    }

    private static func fields(_ bytes: some Collection<UInt8>) -> [String]? {
        var rest = Array(bytes)[...]
        var fields: [String] = []
        while !rest.isEmpty {
            guard rest.count >= 4 else { return nil }
            let count = rest.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(4)
            guard rest.count >= count else { return nil }
            fields.append(String(decoding: rest.prefix(count), as: UTF8.self))
            rest = rest.dropFirst(count)
        }
        return fields
    }
}

extension ImagingError {
    fileprivate init(name: String, detail: String) {
        self.init(Reason(rawValue: name) ?? .internal, detail)
    }
}

extension InstanceHeader {
    /// Without `elements`, which come last.
    fileprivate static let fieldCount = 25

    fileprivate var fields: [String] {
        var fields = [studyInstanceUID?.text, sopInstanceUID?.text, sopClassUID?.text]
        fields += [modality, bodyPart, patientID, patientName, birthDate, accessionNumber, studyDate, studyDescription]
        fields.append(numberOfStudyRelatedInstances.map { String($0) })
        switch image {
        case .success(let image): fields += [String(image.frames), String(image.samplesPerFrame), nil, nil]
        case .failure(let error): fields += [nil, nil, error.name, error.detail]
        }
        fields += [seriesInstanceUID?.text, manufacturer, instanceNumber.map { String($0) }]
        let size = try? image.get()
        fields += [size.map { String($0.rows) }, size.map { String($0.columns) }]
        fields += [numberOfSeriesRelatedInstances, imagesInAcquisition, acquisitionNumber].map { $0.map { String($0) } }
        fields.append(stationName)
        fields += elements.map { $0.map { String($0) } }
        return fields.map { $0 ?? "" }
    }

    fileprivate init?(_ fields: [String]) {
        func text(_ index: Int) -> String? { fields[index].isEmpty ? nil : fields[index] }
        let image: Result<Image, ImagingError>
        if let name = text(14) {
            image = .failure(ImagingError(name: name, detail: fields[15]))
        } else {
            let counts = [fields[12], fields[13], fields[19], fields[20]].compactMap { Int($0) }.filter { $0 > 0 }
            guard counts.count == 4 else { return nil }
            let size = Image(frames: counts[0], rows: counts[2], columns: counts[3], samplesPerFrame: counts[1])
            // A decoder that reads no larger image speaks of no larger one: what is made of these numbers has bounds.
            guard size.isWithin(.standard) else { return nil }
            image = .success(size)
        }
        self.init(
            studyInstanceUID: text(0).flatMap(UID.init), sopInstanceUID: text(1).flatMap(UID.init),
            sopClassUID: text(2).flatMap(UID.init), modality: text(3), bodyPart: text(4), patientID: text(5),
            patientName: text(6), birthDate: text(7), accessionNumber: text(8), studyDate: text(9),
            studyDescription: text(10), numberOfStudyRelatedInstances: text(11).flatMap { Int($0) }, image: image,
            seriesInstanceUID: text(16).flatMap(UID.init), manufacturer: text(17),
            instanceNumber: text(18).flatMap { Int($0) },
            numberOfSeriesRelatedInstances: text(21).flatMap { Int($0) },
            imagesInAcquisition: text(22).flatMap { Int($0) }, acquisitionNumber: text(23).flatMap { Int($0) },
            stationName: text(24), elements: fields[Self.fieldCount...].map { Int($0) })
    }
}

extension InstanceHeader.Image {
    /// Whether such an image is decoded at all. Numbers are positive.
    fileprivate func isWithin(_ limits: DecodingLimits) -> Bool {
        rows <= UInt16.max && columns <= UInt16.max && frames <= limits.frames
            && samplesPerFrame <= limits.frameSamples && rows * columns <= samplesPerFrame
    }
}

extension InputPlacement {
    fileprivate static let fieldCount = 6

    fileprivate var fields: [String] {
        [String(rows), String(columns)]
            + [vertical.scale, vertical.offset, horizontal.scale, horizontal.offset].map { String($0) }
    }

    fileprivate init?(_ fields: [String]) {
        let numbers = fields.dropFirst(2).compactMap { Double($0) }.filter(\.isFinite)
        guard let rows = Int(fields[0]), let columns = Int(fields[1]), (1...Int(UInt16.max)).contains(rows),
            (1...Int(UInt16.max)).contains(columns), rows * columns <= DecodingLimits.standard.frameSamples,
            numbers.count == 4
        else { return nil }
        self.init(
            rows: rows, columns: columns, vertical: .init(scale: numbers[0], offset: numbers[1]),
            horizontal: .init(scale: numbers[2], offset: numbers[3]))
    }
}
