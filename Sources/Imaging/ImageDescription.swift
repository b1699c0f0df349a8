// SPDX-License-Identifier: GPL-3.0-or-later
import CImaging

/// The pixel description of an instance (PS3.3 C.7.6.3), checked against itself; nothing is decoded for it.
public struct ImageDescription: Sendable, Equatable {
    public let rows: Int
    public let columns: Int
    public let numberOfFrames: Int
    public let samplesPerPixel: Int
    public let bitsAllocated: Int
    public let bitsStored: Int
    public let isSigned: Bool
    public let isMonochrome1: Bool

    init(_ image: gi_image) {
        rows = Int(image.rows)
        columns = Int(image.columns)
        numberOfFrames = Int(image.frames)
        samplesPerPixel = Int(image.samples_per_pixel)
        bitsAllocated = Int(image.bits_allocated)
        bitsStored = Int(image.bits_stored)
        isSigned = image.is_signed != 0
        isMonochrome1 = image.is_monochrome1 != 0
    }
}
