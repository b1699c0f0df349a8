// SPDX-License-Identifier: GPL-3.0-or-later

/// Which instances a model looks at. An empty list allows everything.
public struct Applicability: Codable, Sendable, Equatable {
    /// Modality (0008,0060), for example `CT`.
    public var modalities: [String]
    /// BodyPartExamined (0018,0015), for example `HEAD`. An instance without the element is taken.
    public var bodyParts: [String]
    /// SOPClassUID (0008,0016).
    public var sopClasses: [String]

    enum CodingKeys: String, CodingKey {
        case modalities
        case bodyParts = "body_parts"
        case sopClasses = "sop_classes"
    }

    public init(modalities: [String] = [], bodyParts: [String] = [], sopClasses: [String] = []) {
        self.modalities = modalities
        self.bodyParts = bodyParts
        self.sopClasses = sopClasses
    }

    public init(from decoder: Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        modalities = try values.decodeIfPresent([String].self, forKey: .modalities) ?? []
        bodyParts = try values.decodeIfPresent([String].self, forKey: .bodyParts) ?? []
        sopClasses = try values.decodeIfPresent([String].self, forKey: .sopClasses) ?? []
    }
}
