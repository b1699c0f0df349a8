// SPDX-License-Identifier: GPL-3.0-or-later
import ZeroMQ

#if canImport(Glibc)
    import Glibc
#endif

/// The bytes of one instance on their way from the hook or the archive to the socket. Nobody writes to them any more;
/// their memory is given back when the last owner, which may be a frame that libzmq is sending, lets go of them.
@safe
final class Payload: @unchecked Sendable {
    private enum Origin {
        case hook(HookMemory, firstChunk: Int)
        case malloc
    }

    private let memory: UnsafeMutableRawPointer
    private let origin: Origin
    let count: Int

    /// The one copy of the hot path. Nil when the hook's memory has no room now.
    init?(copying bytes: UnsafeRawPointer, count: Int, to hookMemory: HookMemory) {
        guard let room = unsafe hookMemory.take(bytes: count) else { return nil }
        unsafe memcpy(room.memory, bytes, count)
        unsafe memory = room.memory
        origin = unsafe .hook(hookMemory, firstChunk: room.firstChunk)
        self.count = count
    }

    /// Takes over memory that came from `malloc`.
    init(adopting bytes: UnsafeMutableRawPointer, count: Int) {
        unsafe memory = bytes
        origin = .malloc
        self.count = count
    }

    deinit {
        switch origin {
        case .hook(let hookMemory, let firstChunk): hookMemory.giveBack(firstChunk: firstChunk, bytes: count)
        case .malloc: unsafe free(memory)
        }
    }

    /// What the file says of itself.
    var header: DicomHeader { unsafe DicomHeader(UnsafeRawBufferPointer(start: memory, count: count)) }

    /// Frames without a copy of the bytes, which they keep until libzmq has sent them; at least one.
    ///
    /// - Parameter largestBytes: of a frame; nil: all bytes in one.
    func makeFrames(largestBytes: Int?) -> [Frame] {
        guard let largest = largestBytes, largest > 0, count > largest else {
            return unsafe [Frame(lending: memory, count: count, of: self)]
        }
        return stride(from: 0, to: count, by: largest).map { first in
            unsafe Frame(lending: memory + first, count: min(largest, count &- first), of: self)
        }
    }
}
