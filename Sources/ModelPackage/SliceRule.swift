// SPDX-License-Identifier: GPL-3.0-or-later

/// How the probabilities of slices become the probability of the study, for each finding alone.
public enum SliceRule: Sendable, Equatable {
    /// The highest slice.
    case maximum
    /// The mean of the `count` highest slices (of all slices when there are fewer).
    case meanOfTop(count: Int)
    /// 1 − Π(1 − pᵢ): slices are independent chances to see it.
    case noisyOr

    /// The study's probability; nil without slices.
    public func probability(of slices: [Double]) -> Double? {
        guard let highest = slices.max() else { return nil }
        switch self {
        case .maximum: return highest
        case .meanOfTop(let count):
            let top = slices.sorted(by: >).prefix(max(count, 1))
            return top.reduce(0, +) / Double(top.count)
        case .noisyOr: return 1 - slices.reduce(1) { $0 * (1 - $1) }
        }
    }
}

/// `"maximum"`, `{"mean_of_top": 3}` or `"noisy_or"`.
extension SliceRule: Codable {
    private enum CodingKeys: String, CodingKey { case meanOfTop = "mean_of_top" }

    public init(from decoder: Decoder) throws {
        if let word = try? decoder.singleValueContainer().decode(String.self) {
            switch word {
            case "maximum": self = .maximum
            case "noisy_or": self = .noisyOr
            default:
                throw DecodingError.unknownWord(
                    word, allowed: #""maximum", "noisy_or" or {"mean_of_top": 3}"#, decoder)
            }
            return
        }
        self = .meanOfTop(
            count: try decoder.container(keyedBy: CodingKeys.self).decode(Int.self, forKey: .meanOfTop))
    }

    public func encode(to encoder: Encoder) throws {
        switch self {
        case .maximum: try encoder.encodeWord("maximum")
        case .noisyOr: try encoder.encodeWord("noisy_or")
        case .meanOfTop(let count):
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(count, forKey: .meanOfTop)
        }
    }
}
