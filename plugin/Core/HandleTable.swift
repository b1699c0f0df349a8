// SPDX-License-Identifier: GPL-3.0-or-later
import Synchronization

/// Which handles are open. A handle is looked up, never followed, so that a wrong pointer is an error code and not a
/// crash; and its 8 bytes are never freed, so that a closed handle cannot become a new gateway's.
enum HandleTable {
    enum Entry: Sendable {
        case open(Gateway)
        /// Open, and the calling thread is one that closing it waits for.
        case busy
        case closed
    }

    private static let entries = Mutex<[UInt: Entry]>([:])

    static func open(_ gateway: Gateway) -> OpaquePointer {
        let cell = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
        unsafe cell.initialize(to: 0x4741_4E54_5259_0001)
        let handle = OpaquePointer(cell)
        let key = UInt(bitPattern: handle)
        entries.withLock { $0[key] = .open(gateway) }
        return unsafe handle
    }

    /// The gateway of an open handle, which counts the call until its `leave`.
    static func enter(_ handle: OpaquePointer?) -> Entry? {
        let key = UInt(bitPattern: handle)
        return entries.withLock { entries in
            let entry = entries[key]
            // Within the lock: none enters once the handle is closed.
            if case .open(let gateway) = entry { gateway.enter() }
            return entry
        }
    }

    /// The gateway of an open handle, which is closed from now on; not for a thread of the gateway's own, which its
    /// close would wait for.
    static func close(_ handle: OpaquePointer?) -> Entry? {
        let key = UInt(bitPattern: handle)
        return entries.withLock { entries in
            let entry = entries[key]
            if case .open(let gateway) = entry, gateway.isOnOwnThread { return .busy }
            if entry != nil { entries[key] = .closed }
            return entry
        }
    }
}
