// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import ModelPackage
import Triage

extension StudyResult {
    /// Longer side of the slice in a key image, at least.
    private static let leastSide = 512

    /// A Secondary Capture of one slice as the model sees it, in the first window of its package, with what was found
    /// burned in.
    ///
    /// - Parameters:
    ///   - original: the DICOM file of the slice; has to be one of `images`.
    ///   - frame: counted from 0.
    ///   - heatMap: over the model's input for this slice.
    public func keyImage(
        original: Data, finding: FindingResult, frame: Int, heatMap: HeatMap? = nil
    ) throws(ResultsError) -> ResultObject {
        let slice: Slice
        do {
            slice = try read(original, frame)
        } catch {
            throw ResultsError("the slice cannot be shown: \(error)")
        }
        guard let source = images.first(where: { $0.sopInstanceUID == slice.sopInstanceUID }) else {
            throw ResultsError("the slice is not one of those that the model has looked at")
        }
        let object = try DicomObject(.keyImage, original: original)
        try object.pixels(draw(slice, caption(finding, slice), heatMap))
        // SC Equipment (PS3.3 C.8.6.1), SC Image (C.8.6.2), General Image (C.7.6.1)
        try object.put("(0008,0064)", "SYN")
        try object.put("(0008,0008)", "DERIVED\\SECONDARY")
        try object.put("(0020,0020)", "")
        try object.put("(0020,0060)", "")
        try object.put("(0028,0301)", "YES")
        try object.put(
            "(0008,2111)",
            "Slice with the strongest evidence, windowed, \(heatMap == nil ? "" : "heat map, ")text burned in")
        try object.put("(0020,4000)", Wording.plain("\(Wording.notForDiagnosis). \(flag.model.intendedUse)"))
        try object.put("(0008,2112)[0].(0008,1150)", source.sopClassUID)
        try object.put("(0008,2112)[0].(0008,1155)", source.sopInstanceUID)
        if slice.frames > 1 { try object.put("(0008,2112)[0].(0008,1160)", String(frame + 1)) }
        return try object.finish(self, modality: "OT", seriesNumber: 9802)
    }

    // MARK: The slice

    private struct Slice {
        var sopInstanceUID: String
        var instanceNumber: Int?
        var frames: Int
        var frame: Int
        var rows: Int
        var columns: Int
        /// 0…1
        var values: [Float]
    }

    private func read(_ original: Data, _ index: Int) throws(ImagingError) -> Slice {
        try InstanceReader.read(original) { reader throws(ImagingError) in
            let frame = Imaging.Frame()
            try reader.decode(index, into: frame)
            let look = Self.look(manifest.preprocessing, rows: frame.rows, columns: frame.columns)
            return Slice(
                sopInstanceUID: reader.instance.sopInstanceUID?.text ?? "",
                instanceNumber: reader.instance.instanceNumber, frames: reader.instance.numberOfFrames, frame: index,
                rows: look.height, columns: look.width, values: try Preprocessor(look).input(from: frame))
        }
    }

    /// The package's own view of a frame, larger, and without what only the network needs.
    static func look(_ preprocessing: Preprocessing, rows: Int, columns: Int) -> Preprocessing {
        var look = preprocessing
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

    // MARK: The picture

    private func caption(_ finding: FindingResult, _ slice: Slice) -> [String] {
        let (date, time) = Wording.dateAndTime(flag.decidedAt)
        var place = slice.instanceNumber.map { "Instance \($0)" } ?? ""
        if slice.frames > 1 { place += place.isEmpty ? "Frame \(slice.frame + 1)" : ", frame \(slice.frame + 1)" }
        if !place.isEmpty { place += ". " }
        return [
            "\(finding.title): probability \(Wording.probability(finding.probability)) "
                + "(threshold \(Wording.probability(finding.threshold)), "
                + "\(finding.positive ? "flagged" : "not flagged"))",
            "\(flag.model.title), version \(flag.model.version.hex.prefix(8))",
            "\(place)Made \(date.prefix(4))-\(date.dropFirst(4).prefix(2))-\(date.suffix(2)) "
                + "\(time.prefix(2)):\(time.dropFirst(2).prefix(2))",
        ]
    }

    private func draw(_ slice: Slice, _ caption: [String], _ heatMap: HeatMap?) -> Picture {
        let margin = 6
        let width = max(slice.columns, Lettering.width(Wording.notForDiagnosis) + 2 * margin)
        var lines: [(text: String, colour: Picture.Colour)] = [(Wording.notForDiagnosis, .amber)]
        for text in caption {
            for line in Lettering.lines(Wording.plain(text), width: width - 2 * margin) { lines.append((line, .white)) }
        }
        let band = lines.count * (Lettering.height + 2) + 2 * margin
        var picture = Picture(width: width, height: slice.rows + band)
        let left = (width - slice.columns) / 2
        for row in 0..<slice.rows {
            for column in 0..<slice.columns {
                let grey = UInt8(min(max(slice.values[row * slice.columns + column], 0), 1) * 255)
                var colour = Picture.Colour(red: grey, green: grey, blue: grey)
                if let heatMap {
                    let heat = heatMap.value(
                        x: (Double(column) + 0.5) / Double(slice.columns), y: (Double(row) + 0.5) / Double(slice.rows))
                    colour = colour.warmed(by: heat)
                }
                picture.set(x: left + column, y: row, colour)
            }
        }
        for (index, line) in lines.enumerated() {
            Lettering.draw(
                line.text, x: margin, y: slice.rows + margin + index * (Lettering.height + 2), colour: line.colour,
                on: &picture)
        }
        return picture
    }
}

extension Picture.Colour {
    /// Mixed with red, and yellow where it is strongest; weak places stay as they are.
    fileprivate func warmed(by heat: Float) -> Self {
        let heat = min(max(heat, 0), 1)
        guard heat > 0.2 else { return self }
        let share = 0.55 * (heat - 0.2) / 0.8
        func mix(_ value: UInt8, _ target: Float) -> UInt8 { UInt8(Float(value) * (1 - share) + target * share) }
        return Self(
            red: mix(red, 255), green: mix(green, heat > 0.6 ? 220 * (heat - 0.6) / 0.4 : 0), blue: mix(blue, 0))
    }
}
