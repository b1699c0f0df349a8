// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// What a safetensors file says about itself: eight bytes of length (little endian), then JSON, then the values.
///
/// A parsed header is checked completely: known types, shapes whose product does not overflow, byte ranges that fit the
/// shapes and cover the data without overlap or hole (<https://github.com/huggingface/safetensors>, "Format").
public struct SafetensorsHeader: Sendable, Equatable {
    /// By name as in `TensorMap.names` when made here, by position in the file when parsed.
    public let entries: [Entry]
    /// Length of prefix and JSON together: where the values begin.
    public let byteCount: Int

    /// The longest JSON that is read, in bytes.
    public static let lengthLimit = 16 << 20

    /// One tensor in the file.
    public struct Entry: Sendable, Equatable {
        public let name: String
        public let dtype: DType
        public let shape: [Int]
        /// Relative to the end of the header.
        public let bytes: Range<Int>

        /// Product of `shape`.
        public var valueCount: Int { bytes.count / dtype.byteCount }
    }

    /// The value types that are read; `f32` is what is written for parameters and deltas, `f16` for examples.
    public enum DType: String, Sendable {
        case f32 = "F32"
        case f16 = "F16"
        case bf16 = "BF16"
        case f64 = "F64"

        /// Bytes of one value.
        public var byteCount: Int {
            switch self {
            case .f32: 4
            case .f16, .bf16: 2
            case .f64: 8
            }
        }
    }

    /// Bytes of all values.
    public var dataByteCount: Int { entries.last?.bytes.upperBound ?? 0 }

    /// The header for tensors that lie one after the other in the given order.
    ///
    /// - Precondition: no dimension is negative.
    public init(laying tensors: [(name: String, shape: [Int])], as dtype: DType = .f32) {
        var position = 0
        entries = tensors.map { name, shape in
            precondition(shape.allSatisfy { $0 >= 0 }, "negative dimension in \(shape)")
            let end = position + shape.reduce(dtype.byteCount, *)
            defer { position = end }
            return Entry(name: name, dtype: dtype, shape: shape, bytes: position..<end)
        }
        byteCount = Self.encode(entries).count
    }

    /// Prefix and JSON, compact, padded with spaces to a multiple of eight bytes: the same entries always give the same
    /// bytes.
    public var encoded: Data { Self.encode(entries) }

    /// Prefix and JSON padded with spaces to `byteCount` bytes, for a file whose header is written again as it grows; nil
    /// when they need more.
    public func encoded(paddedTo byteCount: Int) -> Data? {
        let data = encoded
        guard byteCount >= data.count else { return nil }
        let padding = byteCount - data.count
        return withUnsafeBytes(of: UInt64(byteCount - 8).littleEndian) { Data($0) } + data.dropFirst(8)
            + Data(repeating: 0x20, count: padding)
    }

    private static func encode(_ entries: [Entry]) -> Data {
        var json = "{"
        for (index, entry) in entries.enumerated() {
            if index > 0 { json += "," }
            let shape = entry.shape.map(String.init).joined(separator: ",")
            json += "\(quoted(entry.name)):{\"dtype\":\"\(entry.dtype.rawValue)\",\"shape\":[\(shape)],"
            json += "\"data_offsets\":[\(entry.bytes.lowerBound),\(entry.bytes.upperBound)]}"
        }
        json += "}"
        let padding = (8 - json.utf8.count % 8) % 8
        var data = withUnsafeBytes(of: UInt64(json.utf8.count + padding).littleEndian) { Data($0) }
        data.append(contentsOf: json.utf8)
        data.append(contentsOf: repeatElement(0x20, count: padding))
        return data
    }

    /// A JSON string (RFC 8259 section 7).
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

extension SafetensorsHeader {
    /// The length of the JSON that the first eight bytes announce.
    ///
    /// - Parameter prefix: at least the first eight bytes of the file.
    public static func jsonLength(prefix: Data) throws(SafetensorsError) -> Int {
        guard prefix.count >= 8 else { throw .truncated(expectedBytes: 8, foundBytes: prefix.count) }
        let length = prefix.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length >= 2, length <= UInt64(lengthLimit) else {
            throw .headerLength(bytes: length, limit: lengthLimit)
        }
        return Int(length)
    }

    /// Reads and checks a header.
    ///
    /// - Parameters:
    ///   - json: the bytes after the length prefix.
    ///   - dataBytes: how many bytes follow the header in the file.
    ///   - allowsTrailing: bytes after the last tensor are no error (a file that is being appended to).
    public init(json: Data, dataBytes: Int, allowsTrailing: Bool = false) throws(SafetensorsError) {
        guard json.first == UInt8(ascii: "{") else { throw .header(reason: "it does not begin with “{”") }
        let raw: RawHeader
        do {
            raw = try JSONDecoder().decode(RawHeader.self, from: json)
        } catch let error as DecodingError {
            throw .header(reason: Self.describe(error))
        } catch {
            throw .header(reason: "\(error)")
        }
        var entries: [Entry] = []
        for (name, entry) in raw.entries { entries.append(try Self.check(name, entry)) }
        entries.sort {
            ($0.bytes.lowerBound, $0.bytes.upperBound, $0.name) < ($1.bytes.lowerBound, $1.bytes.upperBound, $1.name)
        }
        var position = 0
        for entry in entries {
            guard entry.bytes.lowerBound == position else {
                throw .offsets(
                    name: entry.name, begin: entry.bytes.lowerBound, end: entry.bytes.upperBound,
                    reason: "the tensor before it ends at \(position)")
            }
            position = entry.bytes.upperBound
        }
        let length = 8 + json.count
        guard position <= dataBytes else {
            throw .truncated(expectedBytes: length.addingSaturating(position), foundBytes: length + dataBytes)
        }
        guard position == dataBytes || allowsTrailing else { throw .trailing(bytes: dataBytes - position) }
        self.entries = entries
        byteCount = length
    }

    private static func check(_ name: String, _ entry: RawHeader.RawEntry) throws(SafetensorsError) -> Entry {
        guard let dtype = DType(rawValue: entry.dtype) else { throw .dtype(name: name, dtype: entry.dtype) }
        var size = dtype.byteCount
        for dimension in entry.shape {
            let (product, overflow) = size.multipliedReportingOverflow(by: dimension)
            guard dimension >= 0, !overflow else { throw .shape(name: name, shape: entry.shape) }
            size = product
        }
        guard entry.dataOffsets.count == 2 else {
            throw .header(reason: "tensor “\(name)” has \(entry.dataOffsets.count) data_offsets where there must be 2")
        }
        let (begin, end) = (entry.dataOffsets[0], entry.dataOffsets[1])
        guard begin >= 0, end >= begin, end - begin == size else {
            throw .offsets(name: name, begin: begin, end: end, reason: "its shape needs \(size) bytes")
        }
        return Entry(name: name, dtype: dtype, shape: entry.shape, bytes: begin..<end)
    }

    private static func describe(_ error: DecodingError) -> String {
        let (context, what): (DecodingError.Context, String) =
            switch error {
            case .dataCorrupted(let context): (context, context.debugDescription)
            case .keyNotFound(let key, let context): (context, "the key “\(key.stringValue)” is missing")
            case .typeMismatch(_, let context), .valueNotFound(_, let context): (context, context.debugDescription)
            @unknown default: (.init(codingPath: [], debugDescription: ""), "\(error)")
            }
        let path = context.codingPath.map(\.stringValue).joined(separator: ".")
        return path.isEmpty ? what : "\(path): \(what)"
    }
}

/// The JSON as it stands, before any check of sizes.
private struct RawHeader: Decodable {
    var entries: [(name: String, entry: RawEntry)] = []

    struct RawEntry: Decodable {
        var dtype: String
        var shape: [Int]
        var dataOffsets: [Int]

        enum CodingKeys: String, CodingKey {
            case dtype, shape
            case dataOffsets = "data_offsets"
        }
    }

    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        // `__metadata__` is free text from elsewhere; nothing here depends on it.
        for key in container.allKeys where key.stringValue != "__metadata__" {
            entries.append((key.stringValue, try container.decode(RawEntry.self, forKey: key)))
        }
    }
}

extension Int {
    fileprivate func addingSaturating(_ other: Int) -> Int {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
