// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

/// One slice as people are shown it in a key image: in the package's own view, larger.
public struct SliceView: Sendable, Equatable {
    /// Longer side, at least.
    private static let leastSide = 512

    public var sopInstanceUID: String
    public var instanceNumber: Int?
    /// How many frames the instance has, and which of them this is, counted from 0.
    public var frames: Int
    public var frame: Int
    public let rows: Int
    public let columns: Int
    /// 0…1, row by row.
    public let values: [Float]

    /// - Returns: nil unless there is one finite value for each place of `preprocessing`, which has one channel.
    public init?(
        sopInstanceUID: String, instanceNumber: Int?, frames: Int, frame: Int, preprocessing: Preprocessing,
        values: [Float]
    ) {
        guard preprocessing.channels.count == 1, values.count == preprocessing.height * preprocessing.width,
            !values.isEmpty, values.allSatisfy(\.isFinite)
        else { return nil }
        self.sopInstanceUID = sopInstanceUID
        self.instanceNumber = instanceNumber
        self.frames = frames
        self.frame = frame
        rows = preprocessing.height
        columns = preprocessing.width
        self.values = values
    }

    /// How a frame becomes a slice view: as the package prepares it in its first channel, larger, and without what only the
    /// network needs. Its place is that of the model's input, so that a heat map over the input fits it.
    ///
    /// - Parameters:
    ///   - rows: of the frame; they count for a package that distorts it.
    public static func preprocessing(_ package: Preprocessing, rows: Int, columns: Int) -> Preprocessing {
        var look = package
        look.channels = Array(look.channels.prefix(1))
        look.normalise = nil
        if look.fit == .stretch {
            // The network's input is distorted; people see the frame's own shape.
            let scale = Double(leastSide) / Double(max(rows, columns, 1))
            look.height = max(1, Int((Double(rows) * scale).rounded()))
            look.width = max(1, Int((Double(columns) * scale).rounded()))
            return look
        }
        let factor = max(1, (leastSide + max(look.height, look.width) - 1) / max(look.height, look.width, 1))
        look.height *= factor
        look.width *= factor
        look.pixelSpacingMillimetres = look.pixelSpacingMillimetres.map { $0 / Double(factor) }
        return look
    }
}
