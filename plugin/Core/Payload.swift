// SPDX-License-Identifier: GPL-3.0-or-later
import ZeroMQ

#if canImport(Glibc)
    import Glibc
#endif

/// The bytes of one instance, in memory from `malloc`, on their way from the hook or the archive to the socket.
///
/// Sendable because it has one owner at a time: each thread hands it on and does not look back.
@safe
final class Payload: @unchecked Sendable {
    private var memory: UnsafeMutableRawPointer?
    let count: Int

    /// The one copy of the hot path. Nil when memory is exhausted.
    init?(copying bytes: UnsafeRawPointer, count: Int) {
        guard count > 0, let copy = unsafe malloc(count) else { return nil }
        unsafe memcpy(copy, bytes, count)
        unsafe memory = copy
        self.count = count
    }

    /// Takes over memory that came from `malloc`.
    init(adopting bytes: UnsafeMutableRawPointer, count: Int) {
        unsafe memory = bytes
        self.count = count
    }

    deinit { unsafe free(memory) }

    /// What the file says of itself; nothing once the frame was made.
    var header: DicomHeader {
        unsafe DicomHeader(UnsafeRawBufferPointer(start: memory, count: memory == nil ? 0 : count))
    }

    /// A frame that owns the bytes from now on; a second call gives an empty one.
    func makeFrame() -> Frame {
        guard let bytes = unsafe memory else { return Frame() }
        unsafe memory = nil
        return unsafe Frame(adoptingMalloced: bytes, count: count)
    }
}
