// SPDX-License-Identifier: GPL-3.0-or-later

/// Why some bytes are not a safetensors file that can be read here. Every case says where.
public enum SafetensorsError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file ends before its header or before the bytes its header promises.
    case truncated(expectedBytes: Int, foundBytes: Int)
    /// The header's length is zero or above the limit.
    case headerLength(bytes: UInt64, limit: Int)
    /// The header is not the JSON object that the format asks for.
    case header(reason: String)
    /// This tensor's type cannot be read as numbers here.
    case dtype(name: String, dtype: String)
    /// A dimension is negative or the product overflows.
    case shape(name: String, shape: [Int])
    /// The tensor's byte range does not fit its shape, overlaps another or leaves a hole.
    case offsets(name: String, begin: Int, end: Int, reason: String)
    /// There are bytes after the last tensor.
    case trailing(bytes: Int)
    /// No tensor of this name.
    case noTensor(name: String)
    /// The operating system would not read or write the file.
    case file(path: String, reason: String)

    public var description: String {
        switch self {
        case .truncated(let expected, let found):
            "the safetensors file is cut off: \(found) bytes where its header promises \(expected)"
        case .headerLength(let bytes, let limit):
            "not a safetensors file: its header claims \(bytes) bytes, allowed are 2 to \(limit)"
        case .header(let reason): "the safetensors header is not valid: \(reason)"
        case .dtype(let name, let dtype):
            "tensor “\(name)” has the type “\(dtype)”; F32, F16, BF16 and F64 can be read"
        case .shape(let name, let shape): "tensor “\(name)” has the impossible shape \(shape)"
        case .offsets(let name, let begin, let end, let reason):
            "tensor “\(name)” claims the bytes \(begin)..<\(end): \(reason)"
        case .trailing(let bytes): "\(bytes) bytes follow the last tensor"
        case .noTensor(let name): "there is no tensor “\(name)”"
        case .file(let path, let reason): "\(path): \(reason)"
        }
    }
}
