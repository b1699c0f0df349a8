// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import ModelPackage
import Testing

@testable import Results

struct KeyImageTests {
    @Test func `dciodvfy finds no error in a key image`() throws {
        let example = try Example()
        let image = try example.keyImage(example.result())
        let errors = try Tool.errors(in: image.file)
        #expect(errors == [])
    }

    @Test func `a key image says that it has text burned in and where it comes from`() throws {
        let example = try Example()
        let text = try Tool.dcmdump.says(about: try example.keyImage(example.result()).file)
        #expect(text.contains("(0028,0301) CS [YES]"))
        #expect(text.contains("[\(example.images[example.telling].sopInstanceUID)]"))
        #expect(text.contains("[DERIVED\\SECONDARY]"))
    }

    @Test func `the slice is shown as the model sees it`() throws {
        let example = try Example()
        let picture = try decoded(example.keyImage(example.result()))
        // 64 × 64 enlarged eight times, and the caption below.
        #expect(picture.columns == 512)
        #expect(picture.rows > 512)
        let preprocessor = try Preprocessor(example.manifest.preprocessing)
        let input = try InstanceReader.read(example.originals[example.telling]) { reader throws(ImagingError) in
            let frame = Frame()
            try reader.decode(0, into: frame)
            return try preprocessor.input(from: frame)
        }
        var difference: Float = 0
        for row in 0..<64 {
            for column in 0..<64 {
                let shown = picture.values[(row * 8 + 4) * picture.columns + column * 8 + 4] / 255
                difference += abs(shown - input[row * 64 + column])
            }
        }
        #expect(difference / 4096 < 0.05)
    }

    @Test func `a heat map warms where it is strong`() throws {
        let example = try Example()
        var values = [Float](repeating: 0, count: 64)
        values[9] = 1
        let map = try #require(HeatMap(rows: 8, columns: 8, values: values, method: "test"))
        let plain = try decoded(example.keyImage(example.result()))
        let warm = try decoded(example.keyImage(example.result(), heatMap: map))
        func change(_ row: Int, _ column: Int) -> Float {
            abs(plain.values[row * 512 + column] - warm.values[row * 512 + column])
        }
        #expect(change(96, 96) > 10)
        #expect(change(400, 400) == 0)
        #expect(HeatMap(rows: 2, columns: 2, values: [0, 0, .nan, 0], method: "test") == nil)
    }

    @Test func `a slice that the model has not looked at is an error`() throws {
        let example = try Example()
        let result = example.result(1)
        let other = try example.view(3)
        #expect(throws: ResultsError.self) {
            try result.keyImage(original: example.originals[0], finding: result.flag.findings[0], slice: other)
        }
    }

    @Test func `a view without a finite value for each place is none`() throws {
        let look = Preprocessing(height: 2, width: 2, channels: [.percentiles])
        func view(_ values: [Float]) -> SliceView? {
            SliceView(
                sopInstanceUID: "1", instanceNumber: nil, frames: 1, frame: 0, preprocessing: look, values: values)
        }
        #expect(view([0, 0, 0, 1]) != nil)
        #expect(view([0, 0, 0]) == nil)
        #expect(view([0, 0, 0, .nan]) == nil)
    }

    @Test func `a stretched input is shown in the frame's own shape`() {
        let square = Preprocessing(height: 224, width: 224, channels: [.percentiles, .ownWindow], fit: .stretch)
        let look = SliceView.preprocessing(square, rows: 1000, columns: 500)
        #expect((look.height, look.width) == (512, 256))
        #expect(look.channels == [.percentiles])
    }

    @Test func `long captions are broken between words`() {
        let text = "one two three four five six seven eight nine ten"
        let lines = Lettering.lines(text, width: 100)
        #expect(lines.count > 2)
        #expect(lines.allSatisfy { Lettering.width($0) <= 100 })
        #expect(lines.joined(separator: " ") == text)
    }

    private func decoded(_ object: ResultObject) throws -> (rows: Int, columns: Int, values: [Float]) {
        try InstanceReader.read(object.file) { reader throws(ImagingError) in
            let frame = Frame()
            try reader.decode(0, into: frame)
            return (frame.rows, frame.columns, try frame.values())
        }
    }
}
