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
        let (header, image) = try open(file, frame)
        let shown = SliceView.preprocessing(model.manifest.preprocessing, rows: image.rows, columns: image.columns)
        let prepared = try seat.prepare(
            frame..<frame + 1, for: PreprocessingPlan([shown, model.manifest.preprocessing]))
        guard prepared.count == 2,
            let view = SliceView(
                sopInstanceUID: header.sopInstanceUID?.text ?? "", instanceNumber: header.instanceNumber,
                frames: image.frames, frame: frame, preprocessing: shown, values: prepared[0])
        else { throw .instance(Self.nonsense) }
        return Slice(view: view, input: prepared[1])
    }

    /// A slice as the model sees it, and where it lies in what the model sees. Throws as `slice` does.
    func input(
        of file: Data, frame: Int, for model: LiveModel
    ) throws(DecoderError) -> (input: [Float], placement: InputPlacement) {
        defer { seat.stop() }
        _ = try open(file, frame)
        let plan = PreprocessingPlan([model.manifest.preprocessing])
        guard let input = try seat.prepare(frame..<frame + 1, for: plan).first,
            let placement = try seat.place(frame, for: plan).first
        else { throw .instance(Self.nonsense) }
        return (input, placement)
    }

    private func open(
        _ file: Data, _ frame: Int
    ) throws(DecoderError) -> (header: InstanceHeader, image: InstanceHeader.Image) {
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
        return (header, image)
    }

    private static let nonsense = ImagingError(.internal, "the decoder's answer does not fit the question")

    /// Ends what the desk waits for, now and from then on. Any thread.
    func interrupt() { seat.interrupt() }
}
