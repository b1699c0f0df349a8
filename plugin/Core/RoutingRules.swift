// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite

/// Which instances are handed over: the first rule that matches decides; without one, they are.
struct RoutingRules: Sendable, Equatable {
    struct Decision: Sendable, Equatable {
        /// The rule's text, or `defaultName`.
        var rule: String
        var handsOver: Bool
    }

    /// Stands for no rule in the counts.
    static let defaultName = "default"
    private static let most = 1_000

    private(set) var rules: [RoutingRule] = []

    /// A bad rule is left out, with one complaint that says which and why.
    init(_ reader: inout SettingsReader) {
        guard let json = try? JSON() else { return }
        let texts = reader.elements("Rules", expected: "a list of rules")
        for (index, text) in texts.prefix(RoutingRules.most).enumerated() {
            do throws(RoutingRule.Mistake) {
                rules.append(try RoutingRule(text, json: json))
            } catch {
                reader.reject("Rule \(index &+ 1) of the setting Rules is left out: \(error.sentence).")
            }
        }
        if texts.count > RoutingRules.most {
            reader.reject("Of the setting Rules, the rules after the first \(RoutingRules.most) are left out.")
        }
    }

    var isEmpty: Bool { rules.isEmpty }
    var askCallingAETitle: Bool { rules.contains { $0.asksCallingAETitle } }

    /// The default first, then the rules in their order; none when there are no rules.
    var names: [String] { isEmpty ? [] : [RoutingRules.defaultName] + rules.map(\.text) }

    func decide(_ header: DicomHeader, callingAETitle: String) -> Decision {
        for rule in rules where rule.matches(header, callingAETitle: callingAETitle) {
            return Decision(rule: rule.text, handsOver: rule.handsOver)
        }
        return Decision(rule: RoutingRules.defaultName, handsOver: true)
    }
}
