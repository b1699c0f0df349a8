// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import FoundationXML
import Statistics
import Testing

@Suite struct ROCPictureTests {
    private let curve = ROCCurve(
        (0..<40).map { (number: Int) in
            ScoredStudy(probability: Double(number * 7 % 31) / 31, isPresent: number * 5 % 11 > 5)
        })

    @Test func `The picture is XML with the curve, its band, the point, and the words, whatever characters they have`()
    {
        let picture = ROCPicture(
            curve, threshold: 0.5, title: "Bleeding & <more> – “test”", subtitle: "s",
            caption: ["Of 100 studies 96 (89–99).", "a < b"])
        let counter = Counter()
        let parser = XMLParser(data: Data(picture.svg.utf8))
        parser.delegate = counter
        #expect(parser.parse(), "\(String(describing: parser.parserError))")
        #expect(counter.classes["band"] == 1 && counter.classes["curve"] == 1 && counter.classes["point"] == 2)
        #expect(counter.text.contains("Bleeding & <more> – “test”") && counter.text.contains("a < b"))
        #expect(!picture.svg.contains("nan") && !picture.svg.contains("http://www.w3.org/1999/xlink"))
    }

    @Test func `A curve of one class has a picture too`() {
        let one = ROCCurve([ScoredStudy(probability: 0.5, isPresent: true)])
        let parser = XMLParser(
            data: Data(ROCPicture(one, threshold: 0.5, title: "t", subtitle: "", caption: []).svg.utf8))
        #expect(parser.parse())
    }

    private final class Counter: NSObject, XMLParserDelegate {
        var classes: [String: Int] = [:]
        var text = ""

        func parser(
            _ parser: XMLParser, didStartElement elementName: String, namespaceURI: String?,
            qualifiedName qName: String?, attributes: [String: String]
        ) {
            if let name = attributes["class"] { classes[name, default: 0] += 1 }
        }

        func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }
    }
}
