// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import Phantoms
import Testing

@Suite struct PhantomTests {
    private func study(_ kind: PhantomStudy.Kind, _ look: PhantomLook, _ isPositive: Bool, index: Int = 1) throws
        -> PhantomStudy
    {
        switch kind {
        case .headCT: try .headCT(seed: 11, index: index, look: look, isPositive: isPositive, slices: 12, matrix: 128)
        case .chest: try .chest(seed: 11, index: index, look: look, isPositive: isPositive, matrix: 128)
        }
    }

    @Test(arguments: PhantomStudy.Kind.allCases, PhantomLook.allCases)
    func theSameSeedGivesTheSameBytes(kind: PhantomStudy.Kind, look: PhantomLook) throws {
        let first = try study(kind, look, true)
        let second = try study(kind, look, true)
        #expect(first.truth == second.truth)
        #expect(try first.instance(0) == second.instance(0))
        let other = try study(kind, look, true, index: 2)
        #expect(other.studyInstanceUID != first.studyInstanceUID)
        #expect(try other.instance(0) != first.instance(0))
    }

    @Test func anotherContentHasOtherUIDs() throws {
        let studies = try [
            study(.headCT, .a, true), study(.headCT, .a, false), study(.headCT, .b, true), study(.chest, .a, true),
            .headCT(seed: 11, index: 1, look: .a, isPositive: true, slices: 13, matrix: 128),
            .headCT(seed: 11, index: 1, look: .a, isPositive: true, slices: 12, matrix: 64),
            .headCT(seed: 12, index: 1, look: .a, isPositive: true, slices: 12, matrix: 128),
        ]
        #expect(Set(studies.map(\.studyInstanceUID)).count == studies.count)
        let instances = try studies.map { try DicomInstance($0.instance(0)).sopInstanceUID }
        #expect(Set(instances).count == studies.count)
    }

    @Test(arguments: PhantomStudy.Kind.allCases, PhantomLook.allCases)
    func aPhantomSaysThatItIsOne(kind: PhantomStudy.Kind, look: PhantomLook) throws {
        let made = try study(kind, look, false)
        let instance = try DicomInstance(made.instance(0))
        #expect(instance.studyInstanceUID?.text == made.studyInstanceUID)
        #expect(instance.patientID == made.patientID)
        #expect(made.patientID.hasPrefix("GANTRY-PHANTOM-"))
        #expect(instance.patientName == made.patientName)
        #expect(made.patientName.hasPrefix("PHANTOM^"))
        #expect(instance.accessionNumber == made.accessionNumber)
        #expect(instance.modality == (kind == .headCT ? "CT" : look == .b ? "CR" : "DX"))
        #expect(instance.bodyPart == (kind == .headCT ? "HEAD" : "CHEST"))
        if kind == .headCT { #expect(instance.imagesInAcquisition == 12) }
        #expect(try instance.image.get().isMonochrome1 == (kind == .chest && look == .c))
    }

    @Test(
        .enabled(if: isInstalled("/usr/bin/dciodvfy"), "needs dicom3tools"),
        arguments: PhantomStudy.Kind.allCases, PhantomLook.allCases)
    func dciodvfyFindsNothing(kind: PhantomStudy.Kind, look: PhantomLook) throws {
        for syntax in [PhantomTransferSyntax.explicitLittleEndian, .jpegLossless] {
            let file = FileManager.default.temporaryDirectory.appending(path: "gantry-phantom-\(UUID().uuidString).dcm")
            defer { try? FileManager.default.removeItem(at: file) }
            try study(kind, look, true).instance(0, transferSyntax: syntax).write(to: file)
            let process = Process()
            let output = Pipe()
            process.executableURL = URL(filePath: "/usr/bin/dciodvfy")
            process.arguments = [file.path]
            process.standardError = output
            process.standardOutput = output
            try process.run()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            #expect(!text.contains("Error") && !text.contains("Warning"), "\(text)")
        }
    }

    @Test(arguments: PhantomLook.allCases) func aBleedIsBrighterThanBrain(look: PhantomLook) throws {
        for index in 1...4 {
            let positive = try study(.headCT, look, true, index: index)
            let density = try #require(positive.truth.meanHU)
            #expect((8...65).contains(positive.truth.volumeMillilitres))
            #expect((50...90).contains(density))
            let frame = positive.tellingInstance
            // The same head without its bleed: the same anatomy, seed and noise.
            let negative = try study(.headCT, look, false, index: index)
            let bleed = try values(positive.instance(frame))
            let plain = try values(negative.instance(frame))
            let changed = zip(bleed, plain).filter { $0 - $1 > 15 }
            #expect(changed.count > 20)
            let rise = changed.map { $0 - $1 }.reduce(0, +) / Float(changed.count)
            #expect(rise > 22)
            #expect(negative.truth.volumeMillilitres == 0)
            #expect(negative.truth.meanHU == nil)
        }
    }

    @Test(arguments: PhantomLook.allCases) func aHeadHasAirBoneAndBrain(look: PhantomLook) throws {
        let study = try study(.headCT, look, false)
        let slice = try values(study.instance(6))
        #expect(slice[0] < -950)
        #expect(try #require(slice.max()) > 900)
        let middle = (56..<72).flatMap { row in slice[(row * 128 + 56)..<(row * 128 + 72)] }
        #expect((5...45).contains(middle.reduce(0, +) / Float(middle.count)))
    }

    @Test func prevalenceIsKeptAndTheOrderIsRepeatable() {
        let positives = PhantomStudy.positives(count: 25, prevalence: 0.4, seed: 3)
        #expect(positives.count { $0 } == 10)
        #expect(positives == PhantomStudy.positives(count: 25, prevalence: 0.4, seed: 3))
        #expect(positives != PhantomStudy.positives(count: 25, prevalence: 0.4, seed: 4))
        #expect(PhantomStudy.positives(count: 3, prevalence: 1, seed: 1) == [true, true, true])
        #expect(PhantomStudy.positives(count: 0, prevalence: 1, seed: 1).isEmpty)
    }

    @Test func aFolderHoldsStudiesAndTheirTruthOnce() throws {
        let place = FileManager.default.temporaryDirectory.appending(path: "gantry-phantoms-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: place) }
        let folder = try PhantomFolder(place)
        let head = try study(.headCT, .a, true)
        try folder.write(head)
        try folder.write(head)
        try folder.write(study(.chest, .c, false), transferSyntax: .rle)
        try folder.writePreview(head)
        let lines = try String(contentsOf: folder.truthURL, encoding: .utf8).split(separator: "\n").map(String.init)
        #expect(lines.first == "StudyInstanceUID,PatientID,finding,present,volume_ml,mean_hu,site_look,slices")
        #expect(lines.count == 3)
        #expect(lines[1] == head.truth.line)
        // The same number with other content takes the place of the first.
        let other = try study(.headCT, .a, false)
        try folder.write(other)
        let replaced = try String(contentsOf: folder.truthURL, encoding: .utf8)
        #expect(replaced.contains(other.studyInstanceUID) && !replaced.contains(head.studyInstanceUID))
        try folder.write(head)
        try folder.writePreview(head)
        #expect(lines.allSatisfy { $0.split(separator: ",", omittingEmptySubsequences: false).count == 8 })
        let written = try DicomInstance(
            Data(contentsOf: place.appending(path: head.folder).appending(path: "0012.dcm")))
        #expect(written.instanceNumber == 12)
        let preview = try Data(contentsOf: place.appending(path: head.folder).appending(path: "preview.pgm"))
        #expect(preview.count == 256 * 256 + "P5\n256 256\n255\n".utf8.count)
    }

    @Test func anImpossiblePhantomIsRefused() {
        #expect(throws: ImagingError.self) {
            try PhantomStudy.headCT(seed: 1, index: 1, look: .a, isPositive: true, slices: 1)
        }
        #expect(throws: ImagingError.self) {
            try PhantomStudy.chest(seed: 1, index: 1, look: .a, isPositive: true, matrix: 5)
        }
    }
}
