// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import Phantoms
import Testing

@testable import Decoding

struct DecoderMessageTests {
    private var header: InstanceHeader {
        InstanceHeader(
            studyInstanceUID: StudyInstanceUID("1.2"), sopInstanceUID: SOPInstanceUID("1.2.3"), sopClassUID: nil,
            modality: "CT", bodyPart: nil, patientID: "id", patientName: "Müller^Änne=山田", birthDate: nil,
            accessionNumber: "7", studyDate: "20260101", studyDescription: "a\nb", numberOfStudyRelatedInstances: 3,
            image: .success(.init(frames: 2, rows: 4, columns: 16, samplesPerFrame: 64)),
            seriesInstanceUID: SeriesInstanceUID("1.2.9"), manufacturer: "Maker", instanceNumber: 12,
            numberOfSeriesRelatedInstances: 5, imagesInAcquisition: nil, acquisitionNumber: -1, stationName: "CT 1",
            elements: [7, nil, -3])
    }

    @Test func `Every message comes back the same from its bytes`() throws {
        var broken = header
        broken.image = .failure(ImagingError(.truncated, "the file ends"))
        let elements = try [
            #require(ElementAddress(tag: "0020,1002")),
            #require(ElementAddress(tag: "0019,xx9B", creator: "GEMS: ACQU_01")),
        ]
        let messages: [DecoderMessage] = [
            .ready, .open(bytes: 0), .open(bytes: 526_000, elements: elements), .opened(header), .opened(broken),
            .prepare(first: 3, count: 16, plan: "[]"), .prepared, .failed(ImagingError(.decodeFailed, "")),
            .place(frame: 2, plan: "[]"), .placed([]),
            .placed([
                InputPlacement(
                    rows: 512, columns: 300, vertical: .init(scale: 0.25, offset: -3.5),
                    horizontal: .init(scale: -1.0 / 3, offset: 1e-9))
            ]),
        ]
        for message in messages { #expect(DecoderMessage(message.bytes) == message) }
    }

    @Test func `What a decoder out of its mind may say is no message and no trap`() {
        let good = DecoderMessage.opened(header).bytes
        // A header may end after any of the elements that were asked for, so one that is whole is no longer the same.
        for count in 0..<good.count {
            let cut = DecoderMessage(good.prefix(count))
            #expect(cut == nil || cut != .opened(header))
        }
        #expect(DecoderMessage([]) == nil)
        #expect(DecoderMessage([99]) == nil)
        #expect(DecoderMessage([2, 255, 255, 255, 255]) == nil)
        #expect(DecoderMessage([2, 2, 0, 0, 0, 0x2D, 0x31]) == nil)
        let sizes: [(frames: Int, rows: Int, columns: Int, samples: Int)] = [
            (.max, 4, 16, 64), (1 << 18, 4, 16, 64), (1, 1 << 16, 1, 1 << 16), (1, 4, 16, .max), (1, 4, 16, 63),
        ]
        for size in sizes {
            var large = header
            large.image = .success(
                .init(frames: size.frames, rows: size.rows, columns: size.columns, samplesPerFrame: size.samples))
            #expect(DecoderMessage(DecoderMessage.opened(large).bytes) == nil, "\(size)")
        }
        let line = InputPlacement.Line(scale: 1, offset: 0)
        let vast = InputPlacement(rows: 65_535, columns: 65_535, vertical: line, horizontal: line)
        #expect(DecoderMessage(DecoderMessage.placed([vast]).bytes) == nil)
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            var bytes = good
            for _ in 0..<3 { bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255) }
            _ = DecoderMessage(bytes)
        }
    }
}
