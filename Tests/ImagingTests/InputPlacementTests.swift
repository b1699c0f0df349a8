// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import ModelPackage
import Testing

@Suite struct InputPlacementTests {
    private let window = Preprocessing.Channel.window(center: 50, width: 100)

    /// A frame of 20 × 30 pixels of 0.5 mm that is bright in rows 4 to 8 and columns 21 to 26.
    private func file(orientation: String = "1\\0\\0\\0\\1\\0") -> Data {
        var words = [UInt16](repeating: 0, count: 600)
        for row in 4...8 { for column in 21...26 { words[row * 30 + column] = 100 } }
        var builder = DicomBuilder.image(rows: 20, columns: 30, words: words)
        builder.text(0x0028_0030, "DS", "0.5\\0.5")
        builder.text(0x0020_0037, "DS", orientation)
        return builder.file
    }

    @Test(arguments: [
        Preprocessing(height: 40, width: 40, channels: [.percentiles]),
        Preprocessing(height: 16, width: 25, channels: [.percentiles], fit: .stretch),
        Preprocessing(height: 24, width: 32, channels: [.percentiles], pixelSpacingMillimetres: 0.5),
        Preprocessing(height: 24, width: 32, channels: [.percentiles], pixelSpacingMillimetres: 0.35),
        Preprocessing(height: 40, width: 40, channels: [.percentiles], orientation: .radiological),
    ])
    func `What is seen in the input comes back to where it is in the frame`(_ preprocessing: Preprocessing) throws {
        var preprocessing = preprocessing
        preprocessing.channels = [window]
        for orientation in ["1\\0\\0\\0\\1\\0", "-1\\0\\0\\0\\-1\\0"] {
            let file = file(orientation: orientation)
            let preprocessor = try Preprocessor(preprocessing)
            let frame = Frame()
            let (input, placement, values) = try InstanceReader.read(file) { reader throws(ImagingError) in
                try reader.decode(0, into: frame)
                return (try preprocessor.input(from: frame), try preprocessor.placement(of: frame), try frame.values())
            }
            #expect((placement.rows, placement.columns) == (20, 30))
            let back = placement.onFrame(
                input, rows: preprocessing.height, columns: preprocessing.width, height: preprocessing.height,
                width: preprocessing.width)
            let isSmaller = preprocessing.height < 20 || preprocessing.pixelSpacingMillimetres == 0.35
            var wrong = 0
            for (index, value) in values.enumerated() where (back[index] >= 0.5) != (value >= 50) { wrong += 1 }
            // Shrunk, the edge of the bright part may move by less than a pixel; cropped, its last columns are outside.
            #expect(wrong <= (isSmaller ? 30 : 0), "\(preprocessing) \(wrong)")
        }
    }

    @Test func `Values of another size than the input cover it evenly`() {
        let placement = InputPlacement(
            rows: 4, columns: 4, vertical: .init(scale: 2, offset: 0), horizontal: .init(scale: -2, offset: 8))
        let back = placement.onFrame([0, 1, 0, 0], rows: 2, columns: 2, height: 8, width: 8)
        // The upper right quarter of the input is the upper left one of a frame that is flipped.
        #expect(back[0] == 1)
        #expect(back[3] == 0 && back[12] == 0 && back[15] == 0)
    }

    @Test func `Pixels outside the input are 0`() {
        let placement = InputPlacement(
            rows: 1, columns: 4, vertical: .init(scale: 1, offset: 0), horizontal: .init(scale: 1, offset: -1))
        #expect(placement.onFrame([1, 1], rows: 1, columns: 2, height: 1, width: 2) == [0, 1, 1, 0])
    }
}
