// SPDX-License-Identifier: GPL-3.0-or-later

/// One thing the model looks for.
public struct Finding: Codable, Sendable, Equatable {
    /// Key in labels, flags and REST, for example `intracranial-haemorrhage`.
    public var name: String
    public var title: String
    /// The finding as a code, for example SNOMED CT 1386000.
    public var code: Code?
    /// A study-level probability at or above it raises the flag; 0.5 unless the file says otherwise.
    public var threshold: Double
    public var urgency: Urgency

    public struct Code: Codable, Sendable, Equatable {
        public var scheme: String
        public var value: String
        public var meaning: String

        public init(scheme: String, value: String, meaning: String) {
            self.scheme = scheme
            self.value = value
            self.meaning = meaning
        }
    }

    public init(name: String, title: String, code: Code?, threshold: Double, urgency: Urgency) {
        self.name = name
        self.title = title
        self.code = code
        self.threshold = threshold
        self.urgency = urgency
    }

    public init(from decoder: Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        name = try values.decode(String.self, forKey: .name)
        title = try values.decode(String.self, forKey: .title)
        code = try values.decodeIfPresent(Code.self, forKey: .code)
        threshold = try values.decodeIfPresent(Double.self, forKey: .threshold) ?? 0.5
        urgency = try values.decode(Urgency.self, forKey: .urgency)
    }
}
