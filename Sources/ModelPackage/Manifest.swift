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
    /// How a heat map is computed; nil: by covering parts of the input.
    public var explanation: Explanation?
    /// Set for a segmentation model, whose output is one mask for each finding: inputs × findings × rows × columns.
    public var masks: Masks?

    /// How the masks of a segmentation model become probabilities.
    public struct Masks: Codable, Sendable, Equatable {
        /// A slice's probability of a finding is the highest that so many places of its mask reach, so that a slice is
        /// positive when at least so many places are: a smallest area that counts, in places of the mask. With
        /// `pixel_spacing_mm` it has a size in mm², else it is a share of the image.
        public var minimumPixels: Int

        enum CodingKeys: String, CodingKey { case minimumPixels = "minimum_pixels" }

        public init(minimumPixels: Int) { self.minimumPixels = minimumPixels }
    }

    /// Where a heat map comes from.
    public struct Explanation: Codable, Sendable, Equatable {
        /// Path of the module, as PyTorch's `named_modules()` gives it, whose output is weighted by the finding's gradient
        /// (Grad-CAM), for example `features.denseblock4`. Mostly the last one that still has height and width.
        public var layer: String

        public init(layer: String) { self.layer = layer }
    }

    public enum Output: String, Codable, Sendable { case logits, probabilities }

    enum CodingKeys: String, CodingKey {
        case gantry, name, title, takes, preprocessing, findings, output, training, explanation, masks
        case intendedUse = "intended_use"
        case sliceRule = "slice_rule"
        case guardRule = "guard"
    }

    public init(
        name: String, title: String, intendedUse: String, takes: Applicability, preprocessing: Preprocessing,
        findings: [Finding], output: Output = .logits, sliceRule: SliceRule, training: TrainingDefaults,
        guardRule: GuardRule, explanation: Explanation? = nil, masks: Masks? = nil
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
        self.explanation = explanation
        self.masks = masks
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
        explanation = try values.decodeIfPresent(Explanation.self, forKey: .explanation)
        masks = try values.decodeIfPresent(Masks.self, forKey: .masks)
    }
}
