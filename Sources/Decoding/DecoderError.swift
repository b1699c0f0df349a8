// SPDX-License-Identifier: GPL-3.0-or-later
import Imaging

/// Why a decoder gave no answer.
public enum DecoderError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The instance cannot be used, or two decoders in a row ended or hung over it.
    case instance(ImagingError)
    /// No decoder can be started now; says nothing about the instance.
    case unavailable(String)
    /// The seat was told to stop.
    case interrupted

    public var description: String {
        switch self {
        case .instance(let error): error.description
        case .unavailable(let reason): "no decoder can be started: \(reason)"
        case .interrupted: "the decoder was told to stop"
        }
    }
}
