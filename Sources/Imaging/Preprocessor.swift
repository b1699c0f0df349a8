// SPDX-License-Identifier: GPL-3.0-or-later
import CImaging
import ModelPackage

/// A package's preprocessing, ready to be applied to frames.
///
/// For each channel: modality value → 0…1 (MONOCHROME1 inverted, padding 0) → flipped → resized → normalised. The instance's
/// own window is its VOI LUT, else its first window, else its least to its greatest value.
/// The window comes before the resizing, so that bone does not bleed into the soft tissue beside it. Shrinking
/// averages the area a pixel covers, enlarging is bilinear, each axis for itself. Letterbox keeps the shape of the body where
/// pixels are not square, by PixelSpacing or PixelAspectRatio. With `pixelSpacingMillimetres` and
/// letterbox the frame is shown true to scale, centred, padded with 0 and cropped (as MONAI's Spacing followed by
/// ResizeWithPadOrCrop); with stretch the spacing has no effect, since the whole frame fills the input.
///
/// Any thread may use one at any time; the frame belongs to the caller's thread.
public struct Preprocessor: Sendable {
    public let preprocessing: Preprocessing
    private let channels: [Channel]

    private struct Channel: Sendable {
        var kind: Int32
        var center: Double
        var width: Double
        var mean: Float
        var deviation: Float
    }

    /// Throws `invalid-argument` for a size, window or normalisation that cannot be applied.
    public init(_ preprocessing: Preprocessing) throws(ImagingError) {
        guard (1...16384).contains(preprocessing.height), (1...16384).contains(preprocessing.width),
            (1...64).contains(preprocessing.channels.count)
        else {
            throw ImagingError(
                .invalidArgument,
                "preprocessing asks for \(preprocessing.channels.count) channels of "
                    + "\(preprocessing.height) × \(preprocessing.width)"
            )
        }
        let normalise = preprocessing.normalise
        if let normalise,
            normalise.mean.count != preprocessing.channels.count
                || normalise.deviation.count != preprocessing.channels.count
                || !normalise.deviation.allSatisfy({ $0 > 0 && $0.isFinite })
                || !normalise.mean.allSatisfy(\.isFinite)
        {
            throw ImagingError(
                .invalidArgument,
                "preprocessing.normalise needs one mean and one deviation above 0 for each of the "
                    + "\(preprocessing.channels.count) channels"
            )
        }
        if let spacing = preprocessing.pixelSpacingMillimetres, !(spacing > 0 && spacing.isFinite) {
            throw ImagingError(.invalidArgument, "preprocessing.pixel_spacing_mm is \(spacing)")
        }
        self.preprocessing = preprocessing
        var channels: [Channel] = []
        for (index, channel) in preprocessing.channels.enumerated() {
            var made = Channel(
                kind: Int32(GI_CHANNEL_PERCENTILES), center: 0, width: 0, mean: normalise?.mean[index] ?? 0,
                deviation: normalise?.deviation[index] ?? 1)
            switch channel {
            case .window(let center, let width):
                guard width > 0, width.isFinite, center.isFinite else {
                    throw ImagingError(
                        .invalidArgument, "preprocessing.channels[\(index)] has a window of width \(width)")
                }
                made.kind = Int32(GI_CHANNEL_WINDOW)
                made.center = center
                made.width = width
            case .ownWindow: made.kind = Int32(GI_CHANNEL_OWN_WINDOW)
            case .percentiles: break
            }
            channels.append(made)
        }
        self.channels = channels
    }

    /// Writes `preprocessing.valuesPerInput` values, channel by channel, row by row.
    ///
    /// Throws `bad-geometry` when the model wants a pixel spacing and the frame does not know its own, and
    /// `invalid-argument` for an empty frame or too small a buffer.
    public func prepare(_ frame: Frame, into buffer: UnsafeMutableBufferPointer<Float>) throws(ImagingError) {
        try withPreparation { preparation throws(ImagingError) in
            try throwing { gi_prepare(frame.handle, preparation, buffer.baseAddress, buffer.count, $0) }
        }
    }

    /// Where `prepare` puts what is in a frame. Throws as `prepare` does.
    public func placement(of frame: Frame) throws(ImagingError) -> InputPlacement {
        var placement = gi_placement()
        try withPreparation { preparation throws(ImagingError) in
            try throwing { gi_place(frame.handle, preparation, &placement, $0) }
        }
        return InputPlacement(
            rows: Int(placement.rows), columns: Int(placement.columns),
            vertical: .init(scale: placement.vertical.scale, offset: placement.vertical.offset),
            horizontal: .init(scale: placement.horizontal.scale, offset: placement.horizontal.offset))
    }

    private func withPreparation(
        _ body: (UnsafePointer<gi_preparation>) throws(ImagingError) -> Void
    ) throws(ImagingError) {
        try withUnsafeTemporaryAllocation(of: gi_channel.self, capacity: channels.count) { list throws(ImagingError) in
            for (index, channel) in channels.enumerated() {
                list.initializeElement(
                    at: index,
                    to: gi_channel(
                        kind: channel.kind, center: channel.center, width: channel.width, mean: channel.mean,
                        deviation: channel.deviation))
            }
            var preparation = gi_preparation(
                height: UInt32(preprocessing.height), width: UInt32(preprocessing.width),
                letterbox: preprocessing.fit == .letterbox ? 1 : 0,
                radiological: preprocessing.orientation == .radiological ? 1 : 0,
                pixel_spacing: preprocessing.pixelSpacingMillimetres ?? 0, channel_count: UInt32(channels.count),
                channels: list.baseAddress)
            try body(&preparation)
        }
    }

    /// The model input: channels × height × width.
    public func input(from frame: Frame) throws(ImagingError) -> [Float] {
        var failure: ImagingError?
        let input = [Float](unsafeUninitializedCapacity: preprocessing.valuesPerInput) { buffer, count in
            do throws(ImagingError) {
                try prepare(frame, into: buffer)
                count = buffer.count
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return input
    }
}
