// SPDX-License-Identifier: GPL-3.0-or-later

/// libFuzzer target over the messages between gateway and worker: the first byte of each frame is its length.
///
/// A message that both decoders refuse is fine; one that they take must come back the same from its own encoding.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzWire(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var frames: [[UInt8]] = []
    var rest = UnsafeBufferPointer(start: start, count: count)[...]
    while let length = rest.popFirst() {
        // 255 stands for a frame that is longer than a field may be.
        let size = length == 255 ? Envelope.longestFieldBytes + 1 : Int(length)
        frames.append(Array(rest.prefix(size)) + (length == 255 ? [UInt8](repeating: 0x41, count: size) : []))
        rest = rest.dropFirst(size)
    }
    guard let envelope = try? Envelope(frames: frames) else { return 0 }
    if let message = try? ToWorker(envelope) {
        let again = try? ToWorker(Envelope(frames: message.envelope.frames.map { Array($0.utf8) }))
        precondition(again == message, "a message to the worker changed on its way: \(message)")
    }
    if let message = try? ToGateway(envelope) {
        let again = try? ToGateway(Envelope(frames: message.envelope.frames.map { Array($0.utf8) }))
        precondition(again == message, "a message to the gateway changed on its way: \(message)")
    }
    return 0
}
