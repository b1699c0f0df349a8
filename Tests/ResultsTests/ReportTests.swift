// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import ModelPackage
import Statistics
import Testing
import Triage

@testable import Results

struct ReportTests {
    @Test func `dciodvfy finds no error in a report`() throws {
        let example = try Example()
        let report = try example.report(example.result())
        let errors = try Tool.errors(in: report.file)
        #expect(errors == [])
    }

    @Test func `dciodvfy finds no error in a report of a package without codes`() throws {
        let example = try Example(code: nil)
        let report = try example.report(example.result())
        let errors = try Tool.errors(in: report.file)
        #expect(errors == [])
        #expect(try Tool.dsrdump.says(about: report.file).contains("99GANTRY"))
    }

    @Test func `dsrdump reads finding probability model and evidence`() throws {
        let example = try Example()
        let result = example.result()
        let text = try Tool.dsrdump.says(["+Pc", "+Pl"], about: try example.report(result).file)
        for expected in [
            "Imaging Measurement Report", "Device Observer Name", "1386000", "\"97.00\"", "\"50.00\"",
            result.flag.model.version.hex, result.flag.model.package.hex, "Skull fracture", "Present", "Absent",
            "AI result - not for diagnosis", "Kopf-CT fur Blutungen - Test", "Image Library",
        ] {
            #expect(text.contains(expected), "\(expected) is missing in:\n\(text)")
        }
    }

    @Test func `A report says who chose the threshold and what the flag is worth at the site`() throws {
        let example = try Example()
        var result = example.result()
        result.flag.findings[0].operatingPoint = .site
        result.flag.findings[0].validation = SiteValidation(
            OperatingFigures(positives: 50, negatives: 100, truePositives: 48, trueNegatives: 88),
            areaUnderCurve: nil, calibrationLabels: nil, at: 1)
        let report = try example.report(result)
        let text = try Tool.dsrdump.says(["+Pl"], about: report.file)
        #expect(text.contains("operating-point=site"))
        #expect(text.contains("on 150 labelled studies"))
        #expect(text.contains("sensitivity 96 % (87 to 99), specificity 88 % (80 to 93)"), "\(text)")
        #expect(try Tool.errors(in: report.file) == [])
    }

    @Test func `Evidence in a multi-frame image names its frame, the first one too`() throws {
        let example = try Example()
        var result = example.result()
        #expect(try Tool.dcmdump.says(["+P", "0008,1160"], about: try example.report(result).file).isEmpty)
        for index in result.images.indices { result.images[index].frames = 2 }
        let text = try Tool.dcmdump.says(["+P", "0008,1160"], about: try example.report(result).file)
        let evidence = result.flag.findings.flatMap(\.evidence)
        #expect(evidence.allSatisfy { $0.frame == 0 })
        // The probability's and the group's.
        #expect(text.components(separatedBy: "IS [1]").count - 1 == 2 * evidence.count)
    }

    @Test func `every instance that the model has seen is in the evidence`() throws {
        let example = try Example()
        let text = try Tool.dcmdump.says(["+P", "0040,a375"], about: try example.report(example.result()).file)
        #expect(try !#require(example.images.first).sopInstanceUID.isEmpty)
        for image in example.images { #expect(text.contains("[\(image.sopInstanceUID)]")) }
    }

    @Test func `a revised report names the one before`() throws {
        let example = try Example()
        let first = try example.report(example.result(5))
        let second = try example.report(example.result(predecessor: first.reference))
        #expect(first.reference.sopInstanceUID != second.reference.sopInstanceUID)
        #expect(first.reference.seriesInstanceUID == second.reference.seriesInstanceUID)
        let text = try Tool.dcmdump.says(["+P", "0040,a360"], about: second.file)
        #expect(text.contains("[\(first.reference.sopInstanceUID)]"))
        let errors = try Tool.errors(in: second.file)
        #expect(errors == [])
    }

    @Test func `the same study and model give the same UIDs`() throws {
        let example = try Example()
        let result = example.result()
        var shuffled = result.images
        shuffled.reverse()
        let again = StudyResult(
            flag: result.flag, manifest: result.manifest, images: shuffled, predecessor: nil, programVersion: "9")
        for kind in ResultKind.allCases {
            #expect(result.reference(kind) == again.reference(kind))
            #expect(result.reference(kind).sopInstanceUID.utf8.count <= 64)
        }
        #expect(result.reference(.report) != result.reference(.keyImage))
    }

    @Test func `patient study and character set are those of the original`() throws {
        let example = try Example()
        let original = try DicomInstance(example.originals[0])
        for file in [
            try example.report(example.result()).file, try example.keyImage(example.result()).file,
        ] {
            let made = try DicomInstance(file)
            #expect(made.patientName == original.patientName)
            #expect(made.patientID == original.patientID)
            #expect(made.birthDate == original.birthDate)
            #expect(made.studyInstanceUID == original.studyInstanceUID)
            #expect(made.accessionNumber == original.accessionNumber)
            #expect(made.studyDate == original.studyDate)
            #expect(made.seriesInstanceUID != original.seriesInstanceUID)
            let text = try Tool.dcmdump.says(["+P", "0008,0005"], about: file)
            #expect(text == (try Tool.dcmdump.says(["+P", "0008,0005"], about: example.originals[0])))
        }
    }

    @Test func `values that no object may have are not taken over`() throws {
        let example = try Example()
        var poor = example.originals[0]
        for (tag, vr, value) in [
            ([0x10, 0x00, 0x30, 0x00], "DA", "19709999"), ([0x08, 0x00, 0x20, 0x00], "DA", "next day"),
            ([0x10, 0x00, 0x40, 0x00], "CS", "?x"),
        ] as [([UInt8], String, String)] {
            let head = Data(tag + Array(vr.utf8) + [UInt8(value.utf8.count), 0])
            let place = try #require(poor.range(of: head), "the phantom has no such element")
            poor.replaceSubrange(place.upperBound..<place.upperBound + value.utf8.count, with: Data(value.utf8))
        }
        let result = example.result()
        for object in [
            try result.report(original: poor),
            try result.keyObjects(original: poor, title: .ofInterest, keyImage: nil),
        ] {
            let errors = try Tool.errors(in: object.file)
            #expect(errors == [])
            #expect(try DicomInstance(object.file).patientID == DicomInstance(poor).patientID)
        }
    }

    @Test func `Gantry knows its own objects`() throws {
        let example = try Example()
        for file in [
            try example.report(example.result()).file, try example.keyImage(example.result()).file,
        ] {
            let made = try DicomInstance(file)
            #expect(OwnResult.matches(manufacturer: made.manufacturer, sopClassUID: made.sopClassUID?.text))
        }
        let original = try DicomInstance(example.originals[0])
        #expect(!OwnResult.matches(manufacturer: original.manufacturer, sopClassUID: original.sopClassUID?.text))
        // An image that only claims to be ours is looked at.
        #expect(!OwnResult.matches(manufacturer: "Gantry", sopClassUID: original.sopClassUID?.text))
    }

    @Test func `an original that is not DICOM is an error and not a crash`() throws {
        let example = try Example()
        for bytes in [
            Data(), Data("not DICOM".utf8), example.originals[0].prefix(200), Data(repeating: 255, count: 9000),
        ] {
            #expect(throws: ResultsError.self) { try example.result().report(original: bytes) }
            #expect(throws: ResultsError.self) {
                try example.result().keyImage(
                    original: bytes, finding: example.result().flag.findings[0], slice: example.view(example.telling))
            }
        }
    }
}
