// SPDX-License-Identifier: GPL-3.0-or-later
import CImaging
import Foundation
import Imaging

/// A head CT: random anatomy, with or without a bleed, seen by one look's scanner.
struct HeadPicture: PhantomPicture {
    let tellingInstance: Int
    let volumeMillilitres: Double
    let meanHU: Double?
    private let head: gp_head
    private let labels: PhantomLabels
    private let scanner: PhantomLook.Scanner

    /// The lowest slice shows the petrous bones, the highest the vertex.
    private static let lowest = -42.0
    private static let highest = 78.0

    private var instances: Int { labels.identity.instances }

    init(_ labels: PhantomLabels) throws(ImagingError) {
        let scanner = labels.identity.look.scanner
        let instances = labels.identity.instances
        let matrix = labels.identity.matrix
        let isPositive = labels.identity.isPositive
        guard (4...400).contains(instances), (32...1024).contains(matrix) else {
            throw ImagingError(.invalidArgument, "a head CT of \(instances) slices of \(matrix) × \(matrix)")
        }
        self.labels = labels
        self.scanner = scanner
        var head = Self.anatomy(labels, scanner, matrix: matrix)
        volumeMillilitres = isPositive ? try Self.place(bleed: labels.random(purpose: 3), in: &head) : 0
        var volume = 0.0
        var density = 0.0
        try throwing { gp_measure_bleed(&head, &volume, &density, $0) }
        meanHU = isPositive ? density : nil
        self.head = head
        let target = isPositive ? head.bleed.center.2 : 15
        let distance = (Self.highest - Self.lowest) / Double(instances - 1)
        tellingInstance = min(max(Int(((target - Self.lowest) / distance).rounded()), 0), instances - 1)
    }

    private static func anatomy(_ labels: PhantomLabels, _ scanner: PhantomLook.Scanner, matrix: Int) -> gp_head {
        var random = labels.random(purpose: 2)
        var head = gp_head()
        head.rows = UInt32(matrix)
        head.columns = UInt32(matrix)
        head.pixel_spacing = scanner.pixelSpacing * 512 / Double(matrix)
        head.half_width = random.uniform(70, 78)
        head.half_length = random.uniform(87, 96)
        head.half_height = random.uniform(88, 95)
        head.scalp = random.uniform(4, 7)
        head.skull = random.uniform(6, 9)
        head.yaw = random.uniform(-0.14, 0.14)
        head.shift = (random.uniform(-6, 6), random.uniform(-8, 4))
        head.ventricles = random.uniform(0.75, 1.6)
        head.atrophy = random.uniform(0.8, 3.2)
        head.white = random.uniform(26, 29)
        head.grey = head.white + random.uniform(7.5, 10)
        // Mild confounders: small, and not in everybody.
        head.pineal = random.uniform(0, 1) < 0.55 ? random.uniform(90, 190) : 0
        head.choroid = random.uniform(0, 1) < 0.4 ? random.uniform(80, 160) : 0
        head.falx = random.uniform(42, 58)
        head.seed = random.next()
        head.tilt = scanner.tilt * .pi / 180
        head.blur = scanner.blur * Double(matrix) / 512
        head.noise = scanner.noise * random.uniform(0.85, 1.2)
        head.offset = scanner.offset
        head.cupping = scanner.cupping
        return head
    }

    /// Puts a bleed of a drawn kind, place and volume into the head; returns its volume in ml.
    private static func place(bleed generator: PhantomRandom, in head: inout gp_head) throws(ImagingError) -> Double {
        var random = generator
        let kind = random.uniform(0, 1)
        let side = random.side()
        var wanted: Double
        head.bleed.density = random.uniform(60, 80)
        if kind < 0.5 {
            head.bleed.kind = Int32(GP_INTRAPARENCHYMAL)
            head.bleed.center = (side * random.uniform(18, 36), random.uniform(-38, 42), random.uniform(-2, 42))
            head.bleed.axes = (
                random.uniform(0.8, 1.2) * 16, random.uniform(0.8, 1.3) * 16, random.uniform(0.8, 1.1) * 16
            )
            head.bleed.rotation = random.uniform(-1.5, 1.5)
            head.bleed.irregularity = random.uniform(0.2, 0.45)
            wanted = random.uniform(10, 55)
        } else {
            let isSubdural = kind < 0.75
            head.bleed.kind = Int32(isSubdural ? GP_SUBDURAL : GP_EPIDURAL)
            head.bleed.center = (side * random.uniform(45, 60), random.uniform(-35, 35), random.uniform(5, 40))
            head.bleed.axes =
                isSubdural ? (8, random.uniform(0.65, 0.9), 0) : (22, random.uniform(0.38, 0.52), 0)
            head.bleed.irregularity = random.uniform(0.1, 0.25)
            wanted = isSubdural ? random.uniform(28, 58) : random.uniform(14, 50)
        }
        // Two corrections bring the measured volume near the wanted one; what is left of the difference is truth.
        var volume = 0.0
        var density = 0.0
        for round in 0..<3 {
            try throwing { gp_measure_bleed(&head, &volume, &density, $0) }
            guard round < 2, volume > 0 else { break }
            let ratio = min(max(wanted / volume, 0.2), 5)
            if head.bleed.kind == Int32(GP_INTRAPARENCHYMAL) {
                let scale = cbrt(ratio)
                head.bleed.axes = (head.bleed.axes.0 * scale, head.bleed.axes.1 * scale, head.bleed.axes.2 * scale)
            } else {
                head.bleed.axes.0 = min(head.bleed.axes.0 * ratio, 34)
            }
        }
        return volume
    }

    /// Between two slices, in mm.
    private var distance: Double { (Self.highest - Self.lowest) / Double(instances - 1) }
    private func z(_ index: Int) -> Double { Self.lowest + Double(index) * distance }

    func lesion(inInstance index: Int) throws(ImagingError) -> [Float]? {
        try render { head, values, error in gp_render_bleed(head, z(index), values.baseAddress, values.count, error) }
    }

    private func render(
        _ call: (UnsafePointer<gp_head>, UnsafeMutableBufferPointer<Float>, UnsafeMutablePointer<gi_error>) -> Int32
    ) throws(ImagingError) -> [Float] {
        var values = [Float](repeating: 0, count: Int(head.rows) * Int(head.columns))
        var head = head
        try throwing { error in values.withUnsafeMutableBufferPointer { call(&head, $0, error) } }
        return values
    }

    func instance(_ index: Int, transferSyntax: PhantomTransferSyntax) throws(ImagingError) -> Data {
        let values = try render { head, values, error in
            gp_render_head(head, z(index), UInt32(index), values.baseAddress, values.count, error)
        }
        let attributes = attributes(index, z: z(index), distance: distance)
        return try attributes.file(
            stored(values), rows: Int(head.rows), columns: Int(head.columns), bitsStored: scanner.bitsStored,
            isSigned: scanner.isSigned, photometric: "MONOCHROME2", transferSyntax: transferSyntax)
    }

    private func stored(_ values: [Float]) -> [UInt16] {
        let low: Float = scanner.isSigned ? -32768 : 0
        let high: Float = scanner.isSigned ? 32767 : Float(1 << scanner.bitsStored - 1)
        let intercept = Float(scanner.intercept)
        return [UInt16](unsafeUninitializedCapacity: values.count) { buffer, count in
            for index in values.indices {
                let cell = min(max((values[index] - intercept).rounded(), low), high)
                buffer[index] = UInt16(truncatingIfNeeded: Int32(cell))
            }
            count = values.count
        }
    }

    /// The CT Image module and what it needs (PS3.3 A.3 and C.8.2.1).
    private func attributes(_ index: Int, z: Double, distance: Double) -> PhantomAttributes {
        var all = labels.attributes(
            instance: index, sopClass: "1.2.840.10008.5.1.4.1.1.2", modality: "CT",
            imageType: "DERIVED\\SECONDARY\\AXIAL", manufacturer: scanner.manufacturer, model: scanner.model)
        let spacing = head.pixel_spacing
        let left = -Double(head.columns - 1) / 2 * spacing
        let top = -Double(head.rows - 1) / 2 * spacing
        let cosine = cos(head.tilt)
        let sine = sin(head.tilt)
        all["(0008,1030)"] = "CT head without contrast"
        all["(0008,103e)"] = "Head axial \(String(format: "%.1f", distance)) mm"
        all["(0018,0015)"] = "HEAD"
        all["(0018,0050)"] = decimal(distance)
        all["(0018,0060)"] = "120"
        all["(0018,1100)"] = decimal(spacing * Double(head.columns))
        all["(0018,1120)"] = decimal(scanner.tilt)
        all["(0018,1151)"] = "250"
        all["(0018,1210)"] = scanner.kernel
        all["(0018,5100)"] = "HFS"
        all["(0020,0032)"] = [left, top * cosine, z + top * sine].map(decimal).joined(separator: "\\")
        all["(0020,0037)"] = [1, 0, 0, 0, cosine, sine].map(decimal).joined(separator: "\\")
        all["(0020,0052)"] = labels.frameOfReferenceUID
        all["(0020,1002)"] = String(instances)
        all["(0020,1040)"] = ""
        all["(0020,1041)"] = decimal(z)
        all["(0028,0030)"] = "\(decimal(spacing))\\\(decimal(spacing))"
        all["(0028,1050)"] = "40"
        all["(0028,1051)"] = "80"
        all["(0028,1052)"] = String(scanner.intercept)
        all["(0028,1053)"] = "1"
        all["(0028,1054)"] = "HU"
        return all
    }
}
