// SPDX-License-Identifier: GPL-3.0-or-later
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// The memory that the hook copies instances to, as much as the window. In a fresh buffer of 526 KB the hook would wait
/// for 128 page faults, which cost more than the copy itself; so the courier makes memory resident before the hook
/// needs it, and gives it back when the hook has not needed it for minutes.
///
/// An instance gets neighbouring chunks, the lowest that are free: the least memory is used, and what was sent a moment
/// ago is still in the cache. Any thread; the lock is held for the search of a bit map and never during a system call.
@safe
final class HookMemory: Sendable {
    /// At most 3 % of a CT instance is lost to rounding.
    static let chunkBytes = 16_384
    /// Memory is made resident in steps of a huge page (x86-64, arm64).
    static let stepBytes = 2_097_152
    private static let chunksPerStep = stepBytes / chunkBytes
    /// Always resident while a worker is there, and this much ahead of what is used: a courier's nap of 20 ms at
    /// 400 MB/s.
    private static let reserveBytes = 8_388_608
    private static let idleMilliseconds: Int64 = 120_000
    /// Beyond this, instances are read back; no gateway receives so much between two turns of the courier.
    private static let mostBytes = 1_073_741_824

    fileprivate struct State {
        /// A set bit is a chunk in use.
        var words: [UInt64]
        /// The hook uses chunks below this one only.
        var residentChunks = 0
        var usedChunks = 0
        var mostUsedChunks = 0
        /// Chunks that an instance did not find.
        var missedChunks = 0
    }

    private let state: Mutex<State>
    let capacityBytes: Int
    // Unchecked: never changed; who may write where is what `state` says.
    private nonisolated(unsafe) let base: UnsafeMutableRawPointer?
    // Of the courier's thread.
    private let usedAtSteadyMilliseconds = Atomic<Int64>(0)

    init(windowBytes: Int) {
        let steps = (min(windowBytes, HookMemory.mostBytes) &+ HookMemory.stepBytes &- 1) / HookMemory.stepBytes
        capacityBytes = steps &* HookMemory.stepBytes
        state = Mutex(State(words: Array(repeating: 0, count: steps &* HookMemory.chunksPerStep / 64)))
        unsafe base = HookMemory.reserve(capacityBytes)
    }

    deinit { if let base = unsafe base { unsafe munmap(base, capacityBytes) } }

    /// Addresses without memory behind them, on the border of a huge page. Nil when there are none: then the hook keeps
    /// ids only.
    private static func reserve(_ bytes: Int) -> UnsafeMutableRawPointer? {
        let whole = bytes &+ stepBytes
        let found = unsafe mmap(
            nil, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | Int32(MAP_NORESERVE), -1, 0)
        guard let found = unsafe found, unsafe found != MAP_FAILED else { return nil }
        let before = (stepBytes &- Int(bitPattern: found) % stepBytes) % stepBytes
        if before > 0 { unsafe munmap(found, before) }
        let aligned = unsafe found + before
        if before < stepBytes { unsafe munmap(aligned + bytes, stepBytes &- before) }
        // A wish: without huge pages it works as well.
        unsafe madvise(aligned, bytes, MADV_HUGEPAGE)
        return unsafe aligned
    }

    // MARK: The hook

    /// Room for `bytes` that touches no page for the first time; nil when there is none now.
    func take(bytes: Int) -> (memory: UnsafeMutableRawPointer, firstChunk: Int)? {
        guard let base = unsafe base, bytes > 0 else { return nil }
        let length = HookMemory.chunks(bytes)
        let first = state.withLock { $0.take(length) }
        guard let first else { return nil }
        return unsafe (base + first &* HookMemory.chunkBytes, first)
    }

    /// Gives back what `take` gave for `bytes`, once.
    func giveBack(firstChunk: Int, bytes: Int) {
        let length = HookMemory.chunks(bytes)
        state.withLock { $0.mark(firstChunk, length, used: false) }
    }

    private static func chunks(_ bytes: Int) -> Int { (bytes &- 1) / chunkBytes &+ 1 }

    // MARK: The courier

    var residentBytes: Int { state.withLock { $0.residentChunks } &* HookMemory.chunkBytes }

    /// Makes memory resident for what the hook will need, or gives it back. The courier's thread, once a turn.
    ///
    /// - Parameter isNeeded: false while no worker takes instances.
    func adapt(isNeeded: Bool, now: Int64) {
        let reserve = HookMemory.reserveBytes / HookMemory.chunkBytes
        let all = capacityBytes / HookMemory.chunkBytes
        let (resident, used, wanted) = state.withLock { state in
            let wanted = max(state.mostUsedChunks, state.usedChunks &+ state.missedChunks) &+ reserve
            state.mostUsedChunks = state.usedChunks
            state.missedChunks = 0
            return (state.residentChunks, state.usedChunks, wanted)
        }
        if used > 0 || wanted > reserve { usedAtSteadyMilliseconds.store(now, ordering: .relaxed) }
        if isNeeded, resident < min(wanted, all) {
            grow(from: resident, to: min(wanted, all))
        } else if used == 0 {
            let isIdle = now &- usedAtSteadyMilliseconds.load(ordering: .relaxed) > HookMemory.idleMilliseconds
            if !isNeeded { shrink(to: 0) } else if isIdle, resident > reserve { shrink(to: min(reserve, all)) }
        }
    }

    private func grow(from resident: Int, to wanted: Int) {
        guard let base = unsafe base else { return }
        let step = HookMemory.chunksPerStep
        let target = (wanted &+ step &- 1) / step &* step
        let start = unsafe base + resident &* HookMemory.chunkBytes
        let bytes = (target &- resident) &* HookMemory.chunkBytes
        // Linux 5.14; before it, a write to each page does the same.
        if unsafe madvise(start, bytes, MADV_POPULATE_WRITE) != 0 {
            for offset in stride(from: 0, to: bytes, by: 4_096) {
                unsafe start.storeBytes(of: 0, toByteOffset: offset, as: UInt8.self)
            }
        }
        state.withLock { $0.residentChunks = target }
    }

    private func shrink(to wanted: Int) {
        guard let base = unsafe base else { return }
        let resident = state.withLock { state -> Int in
            guard state.usedChunks == 0 else { return 0 }
            defer { state.residentChunks = min(state.residentChunks, wanted) }
            return state.residentChunks
        }
        guard resident > wanted else { return }
        let start = unsafe base + wanted &* HookMemory.chunkBytes
        unsafe madvise(start, (resident &- wanted) &* HookMemory.chunkBytes, MADV_DONTNEED)
    }
}

extension HookMemory.State {
    /// The lowest run of so many free chunks, in use from now on.
    fileprivate mutating func take(_ length: Int) -> Int? {
        var run = 0
        var chunk = 0
        while chunk < residentChunks {
            guard words.indices.contains(chunk >> 6) else { break }
            // From this chunk on, as far as the word reaches.
            let left = min(64 &- chunk & 63, residentChunks &- chunk)
            let bits = words[chunk >> 6] >> UInt64(chunk & 63)
            let free = min(bits.trailingZeroBitCount, left)
            if free == 0 {
                run = 0
                chunk &+= min((~bits).trailingZeroBitCount, left)
                continue
            }
            run &+= free
            chunk &+= free
            if run >= length {
                let first = chunk &- run
                mark(first, length, used: true)
                mostUsedChunks = max(mostUsedChunks, usedChunks)
                return first
            }
        }
        missedChunks = max(missedChunks, length)
        return nil
    }

    fileprivate mutating func mark(_ first: Int, _ length: Int, used: Bool) {
        var chunk = first
        let end = first &+ length
        while chunk < end, words.indices.contains(chunk >> 6) {
            let count = min(64 &- chunk & 63, end &- chunk)
            let mask = (UInt64.max >> UInt64(64 &- count)) << UInt64(chunk & 63)
            if used { words[chunk >> 6] |= mask } else { words[chunk >> 6] &= ~mask }
            chunk &+= count
        }
        usedChunks &+= used ? length : -length
    }
}
