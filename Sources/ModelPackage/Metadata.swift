// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// `configs/metadata.json`, with the keys of a MONAI bundle's metadata that describe a model to people.
///
/// Gantry acts on none of them; other keys of a real bundle are left as they are in the file.
public struct Metadata: Codable, Sendable, Equatable {
    public var version: String?
    public var task: String?
    public var description: String?
    public var authors: String?
    public var copyright: String?
    public var intendedUse: String?
    public var networkDataFormat: NetworkDataFormat?

    /// Shapes and ranges of the network's input and output.
    public struct NetworkDataFormat: Codable, Sendable, Equatable {
        public var inputs: [String: Image]?
        public var outputs: [String: Image]?

        public struct Image: Codable, Sendable, Equatable {
            public var type: String?
            public var format: String?
            public var numChannels: Int?
            public var spatialShape: [Int]?
            public var dtype: String?
            public var valueRange: [Double]?

            enum CodingKeys: String, CodingKey {
                case type, format, dtype
                case numChannels = "num_channels"
                case spatialShape = "spatial_shape"
                case valueRange = "value_range"
            }
        }
    }

    enum CodingKeys: String, CodingKey {
        case version, task, description, authors, copyright
        case intendedUse = "intended_use"
        case networkDataFormat = "network_data_format"
    }

    /// Where the file lies in a package.
    public static let path = "configs/metadata.json"

    /// The metadata of a package that Gantry makes.
    public init(describing manifest: Manifest, authors: String, version: String = "0.1.0") {
        self.version = version
        self.authors = authors
        task = manifest.title
        description = manifest.intendedUse
        intendedUse = manifest.intendedUse
        let input = manifest.preprocessing
        networkDataFormat = NetworkDataFormat(
            inputs: [
                "image": .init(
                    type: "image", format: "magnitude", numChannels: input.channels.count,
                    spatialShape: [input.height, input.width], dtype: "float32",
                    valueRange: input.normalise == nil ? [0, 1] : nil)
            ],
            outputs: [
                "pred": .init(
                    type: manifest.output == .logits ? "logits" : "probabilities", format: "classes",
                    numChannels: manifest.findings.count, dtype: "float32")
            ])
    }

    /// The bytes of `configs/metadata.json`.
    public func encoded() throws -> Data { try Manifest.json(self) }
}
