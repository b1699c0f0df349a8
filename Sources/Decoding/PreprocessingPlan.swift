// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

/// What some models want of the frames of one instance.
public struct PreprocessingPlan: Sendable {
    public let preprocessings: [Preprocessing]
    /// All of them, as a decoder is told.
    let json: String

    public init(_ preprocessings: [Preprocessing]) {
        self.preprocessings = preprocessings
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        // Finite numbers and words always have a JSON form; a number that has none makes the decoder refuse the plan.
        json = (try? encoder.encode(preprocessings)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// Bytes of all inputs made from one frame.
    var bytesPerFrame: Int { preprocessings.reduce(0) { $0 + $1.valuesPerInput } * MemoryLayout<Float>.size }
}
