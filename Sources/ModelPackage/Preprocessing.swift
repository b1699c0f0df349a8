// SPDX-License-Identifier: GPL-3.0-or-later

/// How one frame becomes one model input of shape channels × height × width, values in 0…1 before `normalise`.
public struct Preprocessing: Codable, Sendable, Equatable {
    public var height: Int
    public var width: Int
    /// One input channel for each entry, in order.
    public var channels: [Channel]
    public var fit: Fit
    /// In-plane pixel spacing in mm at which a letterboxed frame is shown: true to scale, centred, padded with 0 and
    /// cropped. Nil fits the whole frame, whatever its spacing; so does `stretch`.
    public var pixelSpacingMillimetres: Double?
    /// `radiological` flips rows and columns by ImageOrientationPatient so that the patient's right is on the left and
    /// anterior is up (for axial images); `asStored` leaves the frame as it is.
    public var orientation: Orientation
    /// Mean and standard deviation for each channel, applied last; nil: values stay in 0…1.
    public var normalise: Normalisation?

    public enum Fit: String, Codable, Sendable {
        /// Keeps the aspect ratio and pads with 0.
        case letterbox
        /// Fills height × width.
        case stretch
    }

    public enum Orientation: String, Codable, Sendable {
        case asStored = "as_stored"
        case radiological
    }

    /// How modality values become 0…1.
    public enum Channel: Sendable, Equatable {
        /// Linear window on rescaled values (HU for CT): centre − width/2 → 0, centre + width/2 → 1, clipped.
        case window(center: Double, width: Double)
        /// The window that the instance itself carries (0028,1050/1051); its own minimum and maximum if it has none.
        case ownWindow
        /// From the 1st to the 99th percentile of the frame.
        case percentiles
    }

    public struct Normalisation: Codable, Sendable, Equatable {
        public var mean: [Float]
        public var deviation: [Float]

        public init(mean: [Float], deviation: [Float]) {
            self.mean = mean
            self.deviation = deviation
        }
    }

    enum CodingKeys: String, CodingKey {
        case height, width, channels, fit, orientation, normalise
        case pixelSpacingMillimetres = "pixel_spacing_mm"
    }

    public init(
        height: Int, width: Int, channels: [Channel], fit: Fit = .letterbox, pixelSpacingMillimetres: Double? = nil,
        orientation: Orientation = .asStored, normalise: Normalisation? = nil
    ) {
        self.height = height
        self.width = width
        self.channels = channels
        self.fit = fit
        self.pixelSpacingMillimetres = pixelSpacingMillimetres
        self.orientation = orientation
        self.normalise = normalise
    }

    public init(from decoder: Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        height = try values.decode(Int.self, forKey: .height)
        width = try values.decode(Int.self, forKey: .width)
        channels = try values.decode([Channel].self, forKey: .channels)
        fit = try values.decodeIfPresent(Fit.self, forKey: .fit) ?? .letterbox
        pixelSpacingMillimetres = try values.decodeIfPresent(Double.self, forKey: .pixelSpacingMillimetres)
        orientation = try values.decodeIfPresent(Orientation.self, forKey: .orientation) ?? .asStored
        normalise = try values.decodeIfPresent(Normalisation.self, forKey: .normalise)
    }

    /// Float values in one input.
    public var valuesPerInput: Int { channels.count * height * width }
}

/// `{"window": {"center": 40, "width": 80}}`, `"own_window"` or `"percentiles"`.
extension Preprocessing.Channel: Codable {
    private enum CodingKeys: String, CodingKey { case window }

    private struct Window: Codable {
        var center: Double
        var width: Double
    }

    public init(from decoder: Decoder) throws {
        if let word = try? decoder.singleValueContainer().decode(String.self) {
            switch word {
            case "own_window": self = .ownWindow
            case "percentiles": self = .percentiles
            default:
                throw DecodingError.unknownWord(
                    word, allowed: #""own_window", "percentiles" or {"window": {"center": 40, "width": 80}}"#, decoder)
            }
            return
        }
        let window = try decoder.container(keyedBy: CodingKeys.self).decode(Window.self, forKey: .window)
        self = .window(center: window.center, width: window.width)
    }

    public func encode(to encoder: Encoder) throws {
        switch self {
        case .window(let center, let width):
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(Window(center: center, width: width), forKey: .window)
        case .ownWindow: try encoder.encodeWord("own_window")
        case .percentiles: try encoder.encodeWord("percentiles")
        }
    }
}
