// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import ModelPackage
import Testing

/// The real head CT beside the checkout, where there is one.
@Suite struct RealSeriesTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "shared/data/head_ct")

    private static var files: [URL] {
        let all = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return (all ?? []).filter { $0.pathExtension == "dcm" }.sorted { $0.path < $1.path }
    }

    @Test(.enabled(if: !files.isEmpty, "needs ../shared/data/head_ct"))
    func everySliceOfARealSeriesBecomesAModelInput() throws {
        let preprocessor = try Preprocessor(
            Preprocessing(height: 128, width: 128, channels: [.window(center: 40, width: 80), .percentiles]))
        let frame = Frame()
        var studies: [String: Int] = [:]
        var bright = 0
        for url in Self.files {
            let file = try Data(contentsOf: url)
            let input = try InstanceReader.read(file) { reader throws(ImagingError) in
                #expect(reader.instance.modality == "CT")
                #expect(reader.instance.numberOfFrames == 1)
                studies[reader.instance.studyInstanceUID?.text ?? "", default: 0] += 1
                try reader.decode(0, into: frame)
                return try preprocessor.input(from: frame)
            }
            #expect(input.count == 2 * 128 * 128)
            #expect(input.allSatisfy { (0...1).contains($0) })
            if input.contains(1) { bright += 1 }
        }
        #expect(studies.values.sorted() == [1, 238])
        #expect(bright > 200)
    }
}
