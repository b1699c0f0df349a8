// SPDX-License-Identifier: GPL-3.0-or-later
import CImaging

/// One decoded frame: a room that is filled again and again, so that decoding allocates nothing in the long run.
///
/// Belongs to one thread at a time.
public final class Frame {
    let handle: OpaquePointer

    public init() {
        guard let handle = gi_frame_new() else { fatalError("no memory for an empty frame") }
        self.handle = handle
    }

    deinit {
        gi_frame_free(handle)
    }

    private var info: gi_frame_info {
        var info = gi_frame_info()
        // An empty frame leaves it all zero.
        _ = gi_frame_describe(handle, &info)
        return info
    }

    /// 0 before the first and after a failed decode.
    public var rows: Int { Int(info.rows) }
    public var columns: Int { Int(info.columns) }

    /// Row spacing and column spacing in mm.
    public var pixelSpacingMillimetres: (row: Double, column: Double)? {
        let info = info
        return info.spacing.0 > 0 ? (info.spacing.0, info.spacing.1) : nil
    }

    /// Modality values, rows × columns, row by row: stored value × RescaleSlope + RescaleIntercept or through the
    /// modality LUT (HU for CT); luminance for colour; not-a-number for padding. MONOCHROME1 is not inverted here.
    public func values() throws(ImagingError) -> [Float] {
        let info = info
        var failure: ImagingError?
        let values = [Float](unsafeUninitializedCapacity: Int(info.rows) * Int(info.columns)) { buffer, count in
            do throws(ImagingError) {
                try throwing { gi_frame_values(handle, buffer.baseAddress, buffer.count, $0) }
                count = buffer.count
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return values
    }
}
