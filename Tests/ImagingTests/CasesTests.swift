// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import ModelPackage
import Testing

/// The inputs beside the checkout that failed in the field, where there are any: exact values or a named reason, as the
/// line beside each says.
@Suite struct CasesTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "shared/cases")
    private static let kinds = [
        "01-window-multivalue", "02-voi-lut-sequence", "03-modality-lut", "04-padding", "06b-8bit-stream-16-allocated",
        "08-colour", "10-fragments", "12-syntaxes",
    ]

    private static func files(_ kinds: [String]) -> [String] {
        kinds.flatMap { kind in
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.appending(path: kind).path)) ?? []
            return names.filter { $0.hasSuffix(".dcm") }.sorted().map { "\(kind)/\($0.dropLast(4))" }
        }
    }

    /// What stands for padding in the right values.
    private static func isPadding(_ value: Double) -> Bool { value.isNaN || value <= -1e8 }

    private func expectSame(_ got: [Float], _ right: ArraySlice<Double>, within tolerance: Double, _ place: String) {
        #expect(got.count == right.count, "\(place)")
        let wrong = zip(got, right).filter { got, right in
            Self.isPadding(right) ? !got.isNaN : !(abs(Double(got) - right) <= tolerance)
        }
        #expect(wrong.isEmpty, "\(place): \(wrong.count) differ, the first \(wrong.first.map { "\($0)" } ?? "")")
    }

    @Test(.enabled(if: !files(kinds).isEmpty, "needs ../shared/cases"), arguments: files(kinds))
    func aFileFromTheFieldHasItsRightValuesOrAReason(name: String) throws {
        let base = Self.folder.appending(path: name).path
        let file = try Data(contentsOf: URL(filePath: base + ".dcm"))
        let wanted = try String(contentsOfFile: base + ".txt", encoding: .utf8).prefix { $0.isLetter || $0 == "-" }
        if let failure = failure(file) {
            #expect(wanted != "value", "\(failure)")
            #expect(failure.reason != .internal && !failure.detail.isEmpty, "\(failure)")
            return
        }
        #expect(wanted != "reason")
        let right = try NumpyArchive(URL(filePath: base + ".npz")).arrays
        let image = try DicomInstance(file).image.get()
        let cells = image.rows * image.columns
        if let frames = right["frames"], !frames.values.isEmpty {
            #expect(image.numberOfFrames * cells == frames.values.count)
            // The right values of these are those from before the lossy compression.
            let tolerance = name.contains("jpeg-rgb-adobe") ? 1.0 : 1e-3
            for frame in 0..<image.numberOfFrames {
                let slice = frames.values[(frame * cells)..<((frame + 1) * cells)]
                expectSame(try values(file, frame: frame), slice, within: tolerance, "frame \(frame)")
            }
        }
        let channels: [(String, Preprocessing.Channel)] = [
            ("own", .ownWindow), ("window", .window(center: 40, width: 80)),
        ]
        for (key, channel) in channels {
            guard let seen = right[key], !seen.values.isEmpty else { continue }
            let preprocessing = Preprocessing(
                height: image.rows, width: image.columns, channels: [channel], fit: .stretch)
            expectSame(try input(file, preprocessing), seen.values[...], within: 1e-5, key)
        }
    }

    @Test(
        .enabled(if: !files(["35-element-encoding"]).isEmpty, "needs ../shared/cases"),
        arguments: files(["35-element-encoding"]))
    func anOddEncodingHidesNothing(name: String) throws {
        let control = try Data(contentsOf: Self.folder.appending(path: "35-element-encoding/control.dcm"))
        let file = try Data(contentsOf: Self.folder.appending(path: name + ".dcm"))
        let instance = try DicomInstance(file)
        #expect(instance.studyInstanceUID != nil && instance.sopInstanceUID != nil && instance.patientID == "T-1")
        #expect(try values(file) == values(control))
    }
}
