// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// `configs/gantry.json` of a model package: what the model looks at, what it says, how it learns.
///
/// Keys are snake_case in the file. Unknown keys are ignored so that newer packages load; a missing key that has no
/// default is an error that names it.
public struct Manifest: Codable, Sendable, Equatable {
    /// Version of this file's format; 1.
    public var gantry: Int
    /// Short name for commands, logs and file names: lower-case letters, digits and `-`.
    public var name: String
    /// Name for people.
    public var title: String
    /// What the package is for, in one sentence that is shown with every flag.
    public var intendedUse: String
    public var takes: Applicability
    public var preprocessing: Preprocessing
    /// One for each output of the model, in the order of the outputs.
    public var findings: [Finding]
    /// What the model's outputs are; `logits` unless the file says otherwise.
    public var output: Output
    /// `maximum` unless the file says otherwise.
    public var sliceRule: SliceRule
    public var training: TrainingDefaults
    public var guardRule: GuardRule

    public enum Output: String, Codable, Sendable { case logits, probabilities }

    enum CodingKeys: String, CodingKey {
        case gantry, name, title, takes, preprocessing, findings, output, training
        case intendedUse = "intended_use"
        case sliceRule = "slice_rule"
        case guardRule = "guard"
    }

    public init(
        name: String, title: String, intendedUse: String, takes: Applicability, preprocessing: Preprocessing,
        findings: [Finding], output: Output = .logits, sliceRule: SliceRule, training: TrainingDefaults,
        guardRule: GuardRule
    ) {
        gantry = 1
        self.name = name
        self.title = title
        self.intendedUse = intendedUse
        self.takes = takes
        self.preprocessing = preprocessing
        self.findings = findings
        self.output = output
        self.sliceRule = sliceRule
        self.training = training
        self.guardRule = guardRule
    }

    public init(from decoder: Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        gantry = try values.decode(Int.self, forKey: .gantry)
        name = try values.decode(String.self, forKey: .name)
        title = try values.decode(String.self, forKey: .title)
        intendedUse = try values.decode(String.self, forKey: .intendedUse)
        takes = try values.decodeIfPresent(Applicability.self, forKey: .takes) ?? Applicability()
        preprocessing = try values.decode(Preprocessing.self, forKey: .preprocessing)
        findings = try values.decode([Finding].self, forKey: .findings)
        output = try values.decodeIfPresent(Output.self, forKey: .output) ?? .logits
        sliceRule = try values.decodeIfPresent(SliceRule.self, forKey: .sliceRule) ?? .maximum
        training = try values.decodeIfPresent(TrainingDefaults.self, forKey: .training) ?? TrainingDefaults()
        guardRule = try values.decodeIfPresent(GuardRule.self, forKey: .guardRule) ?? GuardRule()
    }
}
