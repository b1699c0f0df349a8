// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import Statements

/// libFuzzer target over what a worker hears from a decoder that is no longer itself: messages, and documents as JSON in
/// shared memory (the first byte is 0x7B then). What is no answer is fine; what is one has numbers that can be used.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzAnswer(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeBufferPointer(start: start, count: count)
    if bytes.first == UInt8(ascii: "{") {
        guard let document = try? JSONDecoder().decode(ReportDocument.self, from: Data(bytes)) else { return 0 }
        for kind in [DocumentKind.keyObjects, .report] {
            _ = document.statement(kind, by: .standard, zone: .gmt, receivedAt: 1_700_000_000_000)
        }
        return 0
    }
    guard let message = DecoderMessage(bytes) else { return 0 }
    let again = DecoderMessage(message.bytes)
    precondition(again == message, "a message changed on its way: \(message)")
    switch message {
    case .opened(let header):
        if case .success(let image) = header.image {
            precondition(image.rows * image.columns <= image.samplesPerFrame && image.samplesPerFrame <= 1 << 26)
            precondition(image.frames <= 1 << 17)
        }
    case .placed(let placements):
        for placement in placements.prefix(2) where placement.rows * placement.columns <= 1 << 12 {
            let values = placement.onFrame([0, 1, 2, 3, 4, 5], rows: 2, columns: 3, height: 20, width: 30)
            precondition(values.count == placement.rows * placement.columns)
        }
    default: break
    }
    return 0
}
