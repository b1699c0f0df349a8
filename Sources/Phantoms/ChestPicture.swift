// SPDX-License-Identifier: GPL-3.0-or-later
import CImaging
import Foundation
import Imaging

/// A frontal chest radiograph: random anatomy, with or without a consolidation, seen by one look's detector.
struct ChestPicture: PhantomPicture {
    let tellingInstance = 0
    let volumeMillilitres: Double
    let meanHU: Double? = nil
    private let chest: gp_chest
    private let labels: PhantomLabels
    private let detector: PhantomLook.Detector

    private static let bitsStored = 12

    init(_ labels: PhantomLabels) throws(ImagingError) {
        let matrix = labels.identity.matrix
        guard (64...4096).contains(matrix) else {
            throw ImagingError(.invalidArgument, "a chest radiograph of \(matrix) × \(matrix)")
        }
        self.labels = labels
        detector = labels.identity.look.detector
        var random = labels.random(purpose: 2)
        var chest = gp_chest()
        chest.rows = UInt32(matrix)
        chest.columns = UInt32(matrix)
        chest.pixel_spacing = 0.4 * 1024 / Double(matrix)
        chest.half_width = random.uniform(152, 176)
        chest.lung_height = random.uniform(122, 142)
        chest.lung_width = random.uniform(55, 66)
        chest.heart = random.uniform(44, 60)
        chest.diaphragm = random.uniform(100, 124)
        chest.soft_tissue = random.uniform(195, 240)
        chest.vessels = random.uniform(0.8, 1.3)
        chest.rib_tilt = random.uniform(0.8, 1.3)
        chest.seed = random.next()
        chest.blur = detector.blur * Double(matrix) / 1024
        chest.noise = detector.noise
        chest.contrast = detector.contrast * random.uniform(0.94, 1.06)
        chest.brightness = detector.brightness
        chest.gamma = detector.gamma
        if labels.identity.isPositive {
            var random = labels.random(purpose: 3)
            let side = random.side()
            chest.opacity.center = (
                side * chest.half_width * random.uniform(0.36, 0.52), random.uniform(-45, chest.diaphragm - 40)
            )
            chest.opacity.axes = (random.uniform(22, 38), random.uniform(22, 42))
            chest.opacity.rotation = random.uniform(-1.5, 1.5)
            chest.opacity.strength = random.uniform(0.4, 0.8)
        }
        var volume = 0.0
        try throwing { gp_measure_opacity(&chest, &volume, $0) }
        volumeMillilitres = volume
        self.chest = chest
    }

    func instance(_ index: Int, transferSyntax: PhantomTransferSyntax) throws(ImagingError) -> Data {
        var values = [Float](repeating: 0, count: Int(chest.rows) * Int(chest.columns))
        var chest = chest
        try throwing { error in
            values.withUnsafeMutableBufferPointer { gp_render_chest(&chest, $0.baseAddress, $0.count, error) }
        }
        let highest = Float(1 << Self.bitsStored - 1)
        let isInverted = detector.isMonochrome1
        let stored = [UInt16](unsafeUninitializedCapacity: values.count) { buffer, count in
            for index in values.indices {
                buffer[index] = UInt16((isInverted ? 1 - values[index] : values[index]) * highest)
            }
            count = values.count
        }
        return try attributes().file(
            stored, rows: Int(chest.rows), columns: Int(chest.columns), bitsStored: Self.bitsStored, isSigned: false,
            photometric: isInverted ? "MONOCHROME1" : "MONOCHROME2", transferSyntax: transferSyntax)
    }

    /// Digital X-Ray for presentation (PS3.3 A.26, C.8.11) or Computed Radiography (A.2, C.8.1).
    private func attributes() -> PhantomAttributes {
        var all = labels.attributes(
            instance: 0, sopClass: detector.sopClass, modality: detector.modality,
            imageType: detector.modality == "DX" ? "DERIVED\\PRIMARY" : "DERIVED\\SECONDARY",
            manufacturer: detector.manufacturer, model: detector.model)
        all["(0008,1030)"] = "Chest PA"
        all["(0008,103e)"] = "Chest PA"
        all["(0018,0015)"] = "CHEST"
        all["(0018,0060)"] = "120"
        all["(0018,1164)"] = "\(decimal(chest.pixel_spacing))\\\(decimal(chest.pixel_spacing))"
        all["(0020,0020)"] = "L\\F"
        all["(0028,1050)"] = "2048"
        all["(0028,1051)"] = "4096"
        guard detector.modality == "DX" else {
            all["(0018,5101)"] = "PA"
            return all
        }
        all["(0008,0068)"] = "FOR PRESENTATION"
        all.code("(0008,2218)", value: "51185008", scheme: "SCT", meaning: "Chest")
        all["(0018,1508)"] = ""
        all["(0018,7004)"] = "DIRECT"
        all["(0020,0062)"] = "U"
        all["(0028,1040)"] = "LOG"
        all["(0028,1041)"] = detector.isMonochrome1 ? "1" : "-1"
        all["(0028,1052)"] = "0"
        all["(0028,1053)"] = "1"
        all["(0028,1054)"] = "US"
        all["(0028,2110)"] = "00"
        all["(0040,0555)"] = ""
        all["(2050,0020)"] = detector.isMonochrome1 ? "INVERSE" : "IDENTITY"
        return all
    }
}
