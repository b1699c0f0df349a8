// SPDX-License-Identifier: GPL-3.0-or-later
import CImaging

/// How one site's scanners show what they see: noise, sharpness, offset, tilt, slice thickness, stored form.
public enum PhantomLook: String, CaseIterable, Sendable {
    case a, b, c

    struct Scanner {
        var manufacturer: String
        var model: String
        var kernel: String
        var slices: Int
        var pixelSpacing: Double
        /// Degrees.
        var tilt: Double
        var blur: Double
        var noise: Double
        var offset: Double
        var cupping: Double
        var intercept: Int
        var bitsStored: Int
        var isSigned: Bool
    }

    var scanner: Scanner {
        switch self {
        case .a:
            Scanner(
                manufacturer: "Gantry Phantom Works", model: "Alder 64", kernel: "H31s", slices: 26,
                pixelSpacing: 0.45, tilt: 0, blur: 0.8, noise: 3.5, offset: 0, cupping: 5, intercept: -1024,
                bitsStored: 16, isSigned: true)
        case .b:
            Scanner(
                manufacturer: "Synthetic Imaging", model: "Birch 16", kernel: "STANDARD", slices: 32,
                pixelSpacing: 0.488, tilt: 12, blur: 0.6, noise: 5.5, offset: 3, cupping: 8, intercept: -1024,
                bitsStored: 12, isSigned: false)
        case .c:
            Scanner(
                manufacturer: "Test Object Systems", model: "Cedar One", kernel: "FC26", slices: 22,
                pixelSpacing: 0.43, tilt: -8, blur: 1.2, noise: 4, offset: -4, cupping: 3, intercept: -8192,
                bitsStored: 16, isSigned: false)
        }
    }

    struct Detector {
        var manufacturer: String
        var model: String
        var modality: String
        var sopClass: String
        var isMonochrome1: Bool
        var blur: Double
        var noise: Double
        var contrast: Double
        var brightness: Double
        var gamma: Double
    }

    var detector: Detector {
        let digital = "1.2.840.10008.5.1.4.1.1.1.1"
        switch self {
        case .a:
            return Detector(
                manufacturer: "Gantry Phantom Works", model: "Aspen DR", modality: "DX", sopClass: digital,
                isMonochrome1: false, blur: 0.7, noise: 0.008, contrast: 0.92, brightness: 0.03, gamma: 0.75)
        case .b:
            return Detector(
                manufacturer: "Synthetic Imaging", model: "Beech CR", modality: "CR",
                sopClass: "1.2.840.10008.5.1.4.1.1.1", isMonochrome1: false, blur: 1.3, noise: 0.02, contrast: 0.8,
                brightness: 0.1, gamma: 0.95)
        case .c:
            return Detector(
                manufacturer: "Test Object Systems", model: "Cypress DR", modality: "DX", sopClass: digital,
                isMonochrome1: true, blur: 0.9, noise: 0.012, contrast: 0.85, brightness: 0.05, gamma: 0.65)
        }
    }
}
