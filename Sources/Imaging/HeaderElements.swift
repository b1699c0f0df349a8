// SPDX-License-Identifier: GPL-3.0-or-later
import CImaging

/// Element values of an open instance.
struct HeaderElements {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) {
        self.handle = handle
    }

    /// UTF-8 text; nil when absent or empty. Longer text than any value representation allows for is cut at 4 KiB.
    func text(_ tag: UInt32) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer in
            let count = gi_text(handle, tag, buffer.baseAddress, buffer.count)
            guard count > 0 else { return nil }
            let bytes = UnsafeRawBufferPointer(buffer).prefix(min(Int(count), buffer.count))
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    func integer(_ tag: UInt32) -> Int? {
        var value = 0.0
        guard gi_number(handle, tag, 0, &value) == 1 else { return nil }
        return Int(exactly: value)
    }

    /// Nil when absent or no whole number.
    func integer(at address: ElementAddress) -> Int? {
        let group = UInt32(address.group) << 16
        guard let creator = address.creator else { return integer(group | UInt32(address.element)) }
        let block = (UInt32(0x10)...0xFF).first { text(group | $0) == creator }
        return block.flatMap { integer(group | $0 << 8 | UInt32(address.element & 0xFF)) }
    }
}
