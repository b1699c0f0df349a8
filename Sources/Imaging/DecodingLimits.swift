// SPDX-License-Identifier: GPL-3.0-or-later
import CImaging

/// What one instance may ask for before it is refused as `too-large`.
public struct DecodingLimits: Sendable, Equatable {
    /// Rows × Columns × SamplesPerPixel of one frame.
    public var frameSamples: UInt64
    /// Bytes of a deflated data set after inflation.
    public var inflatedBytes: UInt64
    /// NumberOfFrames.
    public var frames: UInt64

    public init(frameSamples: UInt64 = 1 << 26, inflatedBytes: UInt64 = 1 << 29, frames: UInt64 = 1 << 17) {
        self.frameSamples = frameSamples
        self.inflatedBytes = inflatedBytes
        self.frames = frames
    }

    /// 64 Mi samples (a stitched long-leg radiograph has about 40), 512 MiB, 131,072 frames (more than an hour of
    /// ultrasound).
    public static let standard = DecodingLimits()

    var c: gi_limits { gi_limits(frame_samples: frameSamples, inflated_bytes: inflatedBytes, frames: frames) }
}
