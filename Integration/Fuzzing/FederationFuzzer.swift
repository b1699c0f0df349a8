// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation

/// libFuzzer target over the messages between site and hub and their JSON documents: the first byte of each frame is its
/// length, 255 stands for all that is left, as the last frame is.
///
/// A message that both decoders refuse is fine; one that they take must come back the same from its own encoding.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzFederation(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var parts: [Data] = []
    var rest = UnsafeBufferPointer(start: start, count: count)[...]
    while let length = rest.popFirst() {
        let size = length == 255 ? rest.count : Int(length)
        parts.append(Data(rest.prefix(size)))
        rest = rest.dropFirst(size)
    }
    if let message = try? ToHub(parts: parts) {
        let again = try? ToHub(parts: message.parts())
        precondition(again == message, "a message to the hub changed on its way: \(message)")
    }
    if let message = try? ToSite(parts: parts) {
        let again = try? ToSite(parts: message.parts())
        precondition(again == message, "a message to a site changed on its way: \(message)")
    }
    return 0
}
