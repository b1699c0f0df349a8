// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Testing

@testable import Torch

/// `Fixtures/operators` holds TorchScript files and the text that they were made from (`Integration/Packages/script_model`).
@Suite struct OperatorTests {
    /// Prepares a package around one of the files, which loads it.
    private func prepare(_ name: String, in directory: URL) throws {
        let folder = try #require(Bundle.module.url(forResource: "operators", withExtension: nil))
        let manifest = Manifest(
            name: "scripted", title: "Scripted", intendedUse: "Tests.", takes: Applicability(),
            preprocessing: Preprocessing(height: 8, width: 8, channels: [.percentiles]),
            findings: [Finding(name: "spot", title: "Spot", code: nil, threshold: 0.5, urgency: .routine)],
            sliceRule: .maximum, training: TrainingDefaults(), guardRule: GuardRule())
        for folder in ["models", "configs"] {
            try FileManager.default.createDirectory(
                at: directory.appending(path: folder), withIntermediateDirectories: true)
        }
        try FileManager.default.copyItem(
            at: folder.appending(path: "\(name).ts"), to: directory.appending(path: ModelPackage.modelPath))
        try manifest.encoded().write(to: directory.appending(path: Manifest.path))
        _ = try PackageWriter.prepare(directory)
    }

    @Test func `A model that only computes is loaded`() throws {
        try withTemporaryDirectory { try prepare("honest", in: $0) }
    }

    @Test(arguments: [
        // In a method that nothing calls.
        ("reads", ["aten::from_file (in unused)"]),
        // In a branch of a loop.
        ("nested", ["aten::as_strided (in forward)", "prim::Print (in forward)", "aten::save (in forward)"]),
        // In what runs when a part of the model is read.
        ("loads", ["aten::set_ (in on_load.__setstate__)"]),
    ])
    func `A model that does more than compute is refused with the operator and its place`(
        name: String, uses: [String]
    ) throws {
        try withTemporaryDirectory { directory in
            do {
                try prepare(name, in: directory)
                Issue.record("\(name) was loaded")
            } catch {
                let text = "\(error)"
                for use in uses { #expect(text.contains(use), "\(text)") }
                #expect(text.contains("uses what no model may use"))
            }
        }
    }
}
