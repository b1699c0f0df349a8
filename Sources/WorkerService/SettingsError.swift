// SPDX-License-Identifier: GPL-3.0-or-later

/// What is wrong in a worker's settings.
public enum SettingsError: Error, Equatable, CustomStringConvertible {
    case unreadable(file: String, reason: String)
    case unknownKey(String, known: [String])
    case badValue(key: String, expected: String)
    case noTranscript(file: String, reason: String)
    case noState

    public var description: String {
        switch self {
        case .unreadable(let file, let reason): "the configuration \(file) cannot be read: \(reason)"
        case .unknownKey(let key, let known):
            "the configuration has an unknown key “\(key)”; known keys: \(known.joined(separator: ", "))"
        case .badValue(let key, let expected): "the setting \(key) must be \(expected)"
        case .noTranscript(let file, let reason):
            "the transcript \(file) cannot be written: \(reason); the worker does not talk to the hub without it"
        case .noState: "no state directory: give --state DIR or set state in the configuration"
        }
    }
}
