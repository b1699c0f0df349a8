// SPDX-License-Identifier: GPL-3.0-or-later
import Synchronization
import ZeroMQ

#if canImport(Glibc)
    import Glibc
#endif

/// What the host's threads, the courier and the archivist share.
final class Shared: Sendable {
    /// Things the archivist looks for by itself in the database or the host's log, and the result sender (`send`).
    enum Errand { case look, reconcile, send }

    let settings: GatewaySettings
    let host: Host
    let store: Store
    /// New at each start of the gateway.
    let session: String
    let window = Window()
    let hookMemory: HookMemory
    let live = LiveState()
    let handOver: HandOver
    let refusal: Refusal
    let courier: Mailbox<CourierLetter>
    let archivist: Mailbox<ArchivistLetter>
    let courierWakeup: Wakeup
    let archivistWakeup: Wakeup

    private let stopping = Atomic<Bool>(false)
    private let hostReady = Atomic<Bool>(false)
    private let wantsLook = Atomic<Bool>(true)
    private let wantsReconcile = Atomic<Bool>(true)
    private let wantsSend = Atomic<Bool>(true)

    /// - Throws: `ZeroMQError` when no file descriptor is left.
    init(settings: GatewaySettings, host: Host) throws(ZeroMQError) {
        self.settings = settings
        self.host = host
        store = Store(directory: settings.stateDirectory, host: host)
        session = Shared.randomHex()
        refusal = Refusal(afterSeconds: settings.refuseWithoutWorkerSeconds)
        hookMemory = HookMemory(windowBytes: settings.windowBytes)
        courierWakeup = try Wakeup()
        archivistWakeup = try Wakeup()
        handOver = HandOver(wakeup: courierWakeup)
        courier = Mailbox(capacity: 4_096, wakeup: courierWakeup)
        archivist = Mailbox(capacity: 64, wakeup: archivistWakeup)
    }

    var isStopping: Bool { stopping.load(ordering: .relaxed) }
    var isHostReady: Bool { hostReady.load(ordering: .relaxed) }

    func stop() {
        stopping.store(true, ordering: .relaxed)
        courierWakeup.signal()
        archivistWakeup.signal()
    }

    func setHostReady() {
        hostReady.store(true, ordering: .relaxed)
        archivistWakeup.signal()
    }

    /// Wakes the archivist; the result sender looks by itself some times a second.
    func ask(_ errand: Errand) {
        switch errand {
        case .send:
            wantsSend.store(true, ordering: .relaxed)
            return
        case .look: wantsLook.store(true, ordering: .relaxed)
        case .reconcile: wantsReconcile.store(true, ordering: .relaxed)
        }
        archivistWakeup.signal()
    }

    /// Whether somebody asked since the last call.
    func takeErrand(_ errand: Errand) -> Bool {
        switch errand {
        case .look: wantsLook.exchange(false, ordering: .relaxed)
        case .reconcile: wantsReconcile.exchange(false, ordering: .relaxed)
        case .send: wantsSend.exchange(false, ordering: .relaxed)
        }
    }

    /// Sleeps in small steps, so that a stop is not held up.
    func pause(milliseconds: Int) {
        let end = Clock.steadyMilliseconds() &+ Int64(milliseconds)
        while !isStopping, Clock.steadyMilliseconds() < end { usleep(20_000) }
    }

    /// 128 random bits.
    static func randomHex() -> String {
        [UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max)].map { number in
            let digits = String(number, radix: 16)
            return String(repeating: "0", count: max(16 &- digits.count, 0)) + digits
        }.joined()
    }
}
