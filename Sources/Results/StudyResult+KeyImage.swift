// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Triage

extension StudyResult {
    /// A Secondary Capture of one slice as the model sees it, in the first window of its package, with what was found
    /// burned in.
    ///
    /// - Parameters:
    ///   - original: a DICOM file of the study.
    ///   - slice: of one of `images`.
    ///   - heatMap: over the model's input for this slice.
    public func keyImage(
        original: Data, finding: FindingResult, slice: SliceView, heatMap: HeatMap? = nil
    ) throws(ResultsError) -> ResultObject {
        guard let source = images.first(where: { $0.sopInstanceUID == slice.sopInstanceUID }) else {
            throw ResultsError("the slice is not one of those that the model has looked at")
        }
        let object = try DicomObject(.keyImage, original: original)
        try object.pixels(draw(slice, caption(finding, slice, heatMap), heatMap))
        // SC Equipment (PS3.3 C.8.6.1), SC Image (C.8.6.2), General Image (C.7.6.1)
        try object.put("(0008,0064)", "SYN")
        try object.put("(0008,0008)", "DERIVED\\SECONDARY")
        try object.put("(0020,0020)", "")
        try object.put("(0020,0060)", "")
        try object.put("(0028,0301)", "YES")
        try object.put(
            "(0008,2111)",
            Wording.plain(
                "Slice with the strongest evidence, windowed, "
                    + (heatMap.map { "heat map computed from the model (\($0.method)), " } ?? "") + "text burned in"))
        try object.put("(0020,4000)", Wording.plain("\(Wording.notForDiagnosis). \(flag.model.intendedUse)"))
        try object.put("(0008,2112)[0].(0008,1150)", source.sopClassUID)
        try object.put("(0008,2112)[0].(0008,1155)", source.sopInstanceUID)
        if slice.frames > 1 { try object.put("(0008,2112)[0].(0008,1160)", String(slice.frame + 1)) }
        return try object.finish(self, modality: "OT", seriesNumber: 9802)
    }

    // MARK: The picture

    private func caption(_ finding: FindingResult, _ slice: SliceView, _ heatMap: HeatMap?) -> [String] {
        let (date, time) = Wording.dateAndTime(flag.decidedAt)
        var place = slice.instanceNumber.map { "Instance \($0)" } ?? ""
        if slice.frames > 1 { place += place.isEmpty ? "Frame \(slice.frame + 1)" : ", frame \(slice.frame + 1)" }
        if !place.isEmpty { place += ". " }
        var lines = [
            "\(finding.title): probability \(Wording.probability(finding.probability)) "
                + "(threshold \(Wording.probability(finding.threshold)), "
                + "\(finding.positive ? "flagged" : "not flagged"))",
            "\(flag.model.title), version \(flag.model.version.hex.prefix(8))",
            "\(place)Made \(date.prefix(4))-\(date.dropFirst(4).prefix(2))-\(date.suffix(2)) "
                + "\(time.prefix(2)):\(time.dropFirst(2).prefix(2))",
        ]
        if let heatMap { lines.append("Colour: where the model's answer comes from, by \(heatMap.method)") }
        return lines
    }

    private func draw(_ slice: SliceView, _ caption: [String], _ heatMap: HeatMap?) -> Picture {
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
