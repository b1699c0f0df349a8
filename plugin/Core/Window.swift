// SPDX-License-Identifier: GPL-3.0-or-later
import Synchronization

/// How many bytes of instances the gateway's process holds for Gantry, from the hook to the worker's acknowledgement.
///
/// Any thread; no locks.
final class Window: Sendable {
    /// Whoever asks for room gives it back with `release`, once.
    private let reserved = Atomic<Int>(0)
    private let openToHook = Atomic<Int>(0)

    var reservedBytes: Int { reserved.load(ordering: .relaxed) }

    /// The hook may keep bytes as long as no more than this is reserved. 0 while the worker is away or behind: then
    /// the hook keeps ids only, and a backlog costs no memory.
    func openToHook(bytes: Int) { openToHook.store(bytes, ordering: .relaxed) }

    func reserveInHook(bytes: Int) -> Bool {
        reserve(bytes: bytes, limit: openToHook.load(ordering: .relaxed))
    }

    func reserve(bytes: Int, limit: Int) -> Bool {
        let (_, total) = reserved.wrappingAdd(bytes, ordering: .relaxed)
        if total <= limit { return true }
        release(bytes: bytes)
        return false
    }

    /// For an instance that is larger than the window and travels alone.
    func reserveAnyway(bytes: Int) { reserved.wrappingAdd(bytes, ordering: .relaxed) }

    func release(bytes: Int) { reserved.wrappingSubtract(bytes, ordering: .relaxed) }
}
