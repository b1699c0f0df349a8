// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import Testing

@testable import Results

struct KeyObjectTests {
    private func make(
        _ example: Example, title: KeyObjectTitle = .ofInterest, keyImage: InstanceReference? = nil
    ) throws -> ResultObject {
        try example.result().keyObjects(original: example.originals[0], title: title, keyImage: keyImage)
    }

    @Test(arguments: KeyObjectTitle.allCases)
    func `dciodvfy finds no error in a key object selection`(_ title: KeyObjectTitle) throws {
        let object = try make(Example(), title: title)
        let errors = try Tool.errors(in: object.file)
        #expect(errors == [])
        #expect(try Tool.dsrdump.says(["+Pc"], about: object.file).contains("(\(title.rawValue),DCM,"))
    }

    @Test func `the slices that tell and the key image are selected and are evidence`() throws {
        let example = try Example()
        let image = try example.keyImage(example.result()).reference
        let object = try make(example, keyImage: image)
        #expect(try Tool.errors(in: object.file) == [])
        let content = try Tool.dsrdump.says(["+Pl", "+Pu"], about: object.file)
        let evidence = try Tool.dcmdump.says(["+P", "0040,a375"], about: object.file)
        for uid in [example.images[example.telling].sopInstanceUID, image.sopInstanceUID] {
            #expect(content.contains(uid))
            #expect(evidence.contains("[\(uid)]"))
        }
        #expect(content.contains("AI result - not for diagnosis"))
        #expect(evidence.contains("[\(image.seriesInstanceUID)]"))
        #expect(!content.contains("Skull fracture: probability 0.100, flagged"))
    }

    @Test func `Gantry knows its own key object selections`() throws {
        let made = try DicomInstance(make(Example()).file)
        #expect(OwnResult.matches(manufacturer: made.manufacturer, sopClassUID: made.sopClassUID?.text))
    }
}
