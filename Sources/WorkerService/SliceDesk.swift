// SPDX-License-Identifier: GPL-3.0-or-later
import Decoding
import Foundation
import Imaging
import Results

/// Opens slices that come back from a gateway's archive, in a decoder process of its own like every instance that arrives.
///
/// Belongs to one thread, but for `interrupt`. The decoder runs only while a slice is open: minutes may lie between two.
final class SliceDesk: Sendable {
    /// A slice as people and as the model see it.
    struct Slice {
        var view: SliceView
        /// One input of the model.
        var input: [Float]
    }

    private let seat: DecoderSeat

    /// - Parameter onFailure: told of each decoder that died or hung.
    init(_ settings: DecoderSettings, onFailure: @escaping @Sendable (ImagingError) -> Void) {
        seat = DecoderSeat(settings, onFailure: onFailure)
    }

    /// - Throws: `DecoderError.instance` when this slice cannot be shown, others say nothing about it.
    func slice(of file: Data, frame: Int, for model: LiveModel) throws(DecoderError) -> Slice {
        defer { seat.stop() }
        let opened = file.withUnsafeBytes { bytes in
            Result { () throws(DecoderError) in try seat.open(bytes) }
        }
        let header = try opened.get()
        let image: InstanceHeader.Image
        switch header.image {
        case .success(let found): image = found
        case .failure(let error): throw .instance(error)
        }
        guard (0..<image.frames).contains(frame) else {
            throw .instance(ImagingError(.noSuchFrame, "frame \(frame) of \(image.frames)"))
        }
        let shown = SliceView.preprocessing(model.manifest.preprocessing, rows: image.rows, columns: image.columns)
        let prepared = try seat.prepare(
            frame..<frame + 1, for: PreprocessingPlan([shown, model.manifest.preprocessing]))
        guard prepared.count == 2,
            let view = SliceView(
                sopInstanceUID: header.sopInstanceUID?.text ?? "", instanceNumber: header.instanceNumber,
                frames: image.frames, frame: frame, preprocessing: shown, values: prepared[0])
        else { throw .instance(ImagingError(.internal, "the decoder's answer does not fit the question")) }
        return Slice(view: view, input: prepared[1])
    }

    /// Ends what the desk waits for, now and from then on. Any thread.
    func interrupt() { seat.interrupt() }
}
