// SPDX-License-Identifier: GPL-3.0-or-later

/// Why JSON text is not parsed. The description completes “The body …”.
public enum JSONFault: Error, Equatable, CustomStringConvertible {
    case tooLong(bytes: Int)
    case tooDeep(depth: Int)
    case tooManyValues(values: Int)
    /// At which byte, from 0.
    case malformed(byte: Int)

    public var description: String {
        switch self {
        case .tooLong(let bytes): "is longer than \(bytes) bytes"
        case .tooDeep(let depth): "is nested deeper than \(depth)"
        case .tooManyValues(let values): "holds more than \(values) values"
        case .malformed(let byte): "is not JSON in UTF-8, from byte \(byte) on"
        }
    }
}
