// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Testing

@Suite struct ManifestTests {
    static let complete = """
        {"gantry": 1, "name": "head-ct", "title": "Head CT", "intended_use": "Sorts.",
         "takes": {"modalities": ["CT"], "body_parts": ["HEAD"], "sop_classes": []},
         "preprocessing": {"height": 128, "width": 96, "fit": "stretch", "orientation": "radiological",
           "pixel_spacing_mm": 0.5,
           "channels": [{"window": {"center": 40, "width": 80}}, "own_window", "percentiles"],
           "normalise": {"mean": [0.5, 0.5, 0.5], "deviation": [0.25, 0.25, 0.25]}},
         "findings": [{"name": "bleed", "title": "Bleed", "urgency": "critical", "threshold": 0.4,
           "code": {"scheme": "SCT", "value": "1386000", "meaning": "Intracranial hemorrhage"}}],
         "output": "probabilities", "slice_rule": {"mean_of_top": 3},
         "training": {"parameters": ["fc", "layer4"], "loss": "bce", "optimiser": "sgd", "learning_rate": 0.01,
           "weight_decay": 0, "momentum": 0.8, "epochs": 2, "batch_studies": 8},
         "guard": {"margin": 0.05, "minimum_labels_per_class": 4}}
        """

    static let minimal = """
        {"gantry": 1, "name": "x", "title": "X", "intended_use": "Sorts.",
         "preprocessing": {"height": 128, "width": 128, "channels": ["percentiles"]},
         "findings": [{"name": "y", "title": "Y", "urgency": "routine"}]}
        """

    @Test func aCompleteManifestIsReadKeyByKey() throws {
        let manifest = try Manifest.decode(Data(Self.complete.utf8))
        #expect(manifest.takes.bodyParts == ["HEAD"])
        #expect(manifest.preprocessing.channels == [.window(center: 40, width: 80), .ownWindow, .percentiles])
        #expect(manifest.preprocessing.pixelSpacingMillimetres == 0.5)
        #expect(manifest.preprocessing.orientation == .radiological)
        #expect(manifest.preprocessing.valuesPerInput == 3 * 128 * 96)
        #expect(manifest.findings[0].code?.value == "1386000")
        #expect(manifest.output == .probabilities)
        #expect(manifest.sliceRule == .meanOfTop(count: 3))
        #expect(manifest.training.parameters == .named(["fc", "layer4"]))
        #expect(manifest.training.momentum == 0.8)
        #expect(manifest.guardRule.minimumLabelsPerClass == 4)
    }

    @Test func whatIsLeftOutHasItsDefault() throws {
        let manifest = try Manifest.decode(Data(Self.minimal.utf8))
        #expect(manifest.takes == Applicability())
        #expect(manifest.preprocessing.fit == .letterbox)
        #expect(manifest.findings[0].threshold == 0.5)
        #expect(manifest.output == .logits)
        #expect(manifest.sliceRule == .maximum)
        #expect(manifest.training == TrainingDefaults())
        #expect(manifest.guardRule == GuardRule())
    }

    @Test(arguments: [complete, minimal])
    func whatIsWrittenIsReadBack(json: String) throws {
        let manifest = try Manifest.decode(Data(json.utf8))
        #expect(try Manifest.decode(manifest.encoded()) == manifest)
    }

    @Test(arguments: [
        (#""height": 128"#, #""height": "big""#, "preprocessing.height", "a whole number"),
        (#""height": 128, "#, "", "preprocessing.height", "missing"),
        (#""percentiles""#, #""percent""#, "preprocessing.channels[2]", "“percent” is not known"),
        (#""center": 40, "#, "", "preprocessing.channels[0].window.center", "missing"),
        (#""width": 80"#, #""width": 0"#, "preprocessing.channels[0].window.width", "above 0"),
        (#"[0.25, 0.25, 0.25]"#, "[0.25]", "preprocessing.normalise", "one of each for each channel"),
        (#""threshold": 0.4"#, #""threshold": 40"#, "findings[0].threshold", "0.5"),
        (#""urgency": "critical""#, #""urgency": "dire""#, "findings[0].urgency", "dire"),
        (#""value": "1386000", "#, "", "findings[0].code.value", "missing"),
        (#""name": "bleed""#, #""name": "A bleed""#, "findings[0].name", "lower-case"),
        (#""loss": "bce""#, #""loss": "cross_entropy""#, "training.loss", "bce"),
        (#"{"mean_of_top": 3}"#, #""mean""#, "slice_rule", "noisy_or"),
        (#"{"mean_of_top": 3}"#, #"{"mean_of_top": 0}"#, "slice_rule.mean_of_top", "1 or more"),
        (#"["fc", "layer4"]"#, #""tail""#, "training.parameters", "head"),
        (#""margin": 0.05"#, #""margin": -1"#, "guard.margin", "0.02"),
        (#""gantry": 1"#, #""gantry": 2"#, "gantry", "newer Gantry"),
    ])
    func aMistakeIsNamedByItsKeyWithAFix(original: String, mistake: String, key: String, hint: String) {
        let json = Self.complete.replacing(original, with: mistake, maxReplacements: 1)
        #expect(json != Self.complete)
        do {
            _ = try Manifest.decode(Data(json.utf8))
            Issue.record("accepted")
        } catch {
            #expect(error.file == "configs/gantry.json")
            #expect(error.key == key)
            #expect(error.description.contains(hint), "\(error)")
        }
    }

    @Test func twoFindingsOfOneNameAreRefused() {
        let finding = #"{"name": "y", "title": "Y", "urgency": "routine"}"#
        let json = Self.minimal.replacing(finding, with: "\(finding), \(finding)")
        #expect(throws: ModelPackageError.self) { try Manifest.decode(Data(json.utf8)) }
    }

    @Test func brokenJSONSaysSo() {
        do {
            _ = try Manifest.decode(Data(#"{"gantry": 1,"#.utf8))
            Issue.record("accepted")
        } catch {
            #expect(error.key == nil)
            #expect(error.description.contains("not valid JSON"), "\(error)")
        }
    }

    @Test(arguments: [
        (TrainingDefaults.Trainable.all, ["stem.weight", "body.0.weight", "head.weight", "head.bias"]),
        (.head, ["head.weight", "head.bias"]), (.named(["body"]), ["body.0.weight"]),
        (.named(["bod", "head.bias"]), ["head.bias"]),
    ])
    func theTrainedParametersAreSelectedByModule(trainable: TrainingDefaults.Trainable, expected: [String]) {
        let names = ["stem.weight", "body.0.weight", "head.weight", "head.bias"]
        #expect(trainable.selection(from: names) == expected)
    }

    @Test func theSliceRulesAreTheirFormulas() throws {
        let slices = [0.1, 0.8, 0.5]
        #expect(SliceRule.maximum.probability(of: slices) == 0.8)
        #expect(try #require(SliceRule.meanOfTop(count: 2).probability(of: slices)).isClose(to: 0.65))
        #expect(try #require(SliceRule.meanOfTop(count: 9).probability(of: slices)).isClose(to: 1.4 / 3))
        #expect(try #require(SliceRule.noisyOr.probability(of: slices)).isClose(to: 1 - 0.9 * 0.2 * 0.5))
        #expect(SliceRule.maximum.probability(of: []) == nil)
    }
}

extension Double {
    fileprivate func isClose(to other: Double) -> Bool { abs(self - other) < 1e-12 }
}
