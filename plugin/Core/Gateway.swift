// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite
import Synchronization
import Wire
import ZeroMQ

#if canImport(Glibc)
    import Glibc
#endif

/// One open gateway: what the functions of gantry.h do, once their arguments are checked.
final class Gateway: Sendable {
    private let shared: Shared
    private let threads = Mutex<[StoppableThread]>([])
    /// Calls of the host that are under way.
    private let calls = Atomic<Int>(0)

    /// - Throws: `ZeroMQError` when threads or file descriptors are exhausted.
    init(settings: GatewaySettings, host: Host) throws(ZeroMQError) {
        shared = try Shared(settings: settings, host: host)
        host.info(
            "Gantry \(Release.version) as \(settings.name); database in \(settings.stateDirectory); workers at "
                + "\(settings.workers.map(\.endpoint).joined(separator: ", ")).")
        // The database is tried at once, so that the log says at start what is wrong with it.
        _ = try? shared.store.write { _ in }
        if host.readsLog { LogReading.noteStart(in: settings.stateDirectory) }
        let shared = self.shared
        let courier = StoppableThread(name: "gantry-courier") {
            // libzmq's sockets belong to the thread that made them, and close before it ends.
            do throws(ZeroMQError) {
                let context = try Context()
                Courier(shared, context: context).run()
            } catch {
                shared.host.error("Gantry cannot reach its workers: \(error). Check the setting Workers, then restart.")
                Gateway.commitWithoutWorkers(shared)
            }
        }
        let archivist = StoppableThread(name: "gantry-archive") { Archivist(shared).run() }
        var all = [courier, archivist]
        if !settings.resultTargets.isEmpty {
            if host.sendsInstances, host.storesInstances {
                all.append(StoppableThread(name: "gantry-send") { ResultSender(shared).run() })
            } else {
                host.warning("This gateway sends no instances: the setting ResultTargets has no effect.")
            }
        }
        for (started, thread) in all.enumerated() {
            do throws(ZeroMQError) {
                try thread.start()
            } catch {
                shared.stop()
                for other in all.prefix(started) { _ = other.join(timeoutMilliseconds: 5_000) }
                throw error
            }
        }
        let running = all
        threads.withLock { $0 = running }
    }

    /// Without sockets the outbox goes on filling.
    private static func commitWithoutWorkers(_ shared: Shared) {
        while true {
            let isLast = shared.isStopping
            let arrivals = shared.handOver.take()
            if !arrivals.isEmpty {
                // What cannot be committed is found again in the host's log.
                if (try? shared.store.save(arrivals: arrivals, settlements: [])) == nil {
                    shared.ask(.reconcile)
                }
            }
            if isLast { return }
            shared.pause(milliseconds: 500)
        }
    }

    // MARK: Calls and their end

    func enter() { calls.wrappingAdd(1, ordering: .acquiringAndReleasing) }

    func leave() { calls.wrappingSubtract(1, ordering: .acquiringAndReleasing) }

    /// Whether the caller runs on a thread that `close` waits for.
    var isOnOwnThread: Bool { shared.host.isOnLogThread || threads.withLock { $0.contains(where: \.isCurrent) } }

    /// Nobody enters any more. Ends the threads, waits for the calls under way, and lets go of the host.
    ///
    /// - Parameter timeoutMilliseconds: for all of it.
    /// - Returns: false when a thread or a call had to be left behind; the host is not let go of then.
    func close(timeoutMilliseconds: Int64) -> Bool {
        let deadline = Clock.steadyMilliseconds() &+ timeoutMilliseconds
        func left() -> Int64 { max(deadline &- Clock.steadyMilliseconds(), 0) }
        shared.stop()
        var ended = true
        for thread in threads.withLock({ $0 }) where !thread.join(timeoutMilliseconds: left()) { ended = false }
        while calls.load(ordering: .acquiring) > 0, left() > 0 { usleep(500) }
        if !ended || calls.load(ordering: .acquiring) > 0 {
            shared.host.warning(
                "A thread or a call of Gantry did not end in \(timeoutMilliseconds) ms and was left behind.")
            _ = shared.host.stopLog(timeoutMilliseconds: left())
            return false
        }
        shared.store.close()
        guard shared.host.stopLog(timeoutMilliseconds: left()) else { return false }
        shared.host.destroy()
        return true
    }

    func hostReady() {
        shared.setHostReady()
        shared.ask(.look)
    }

    /// The hot path: no disk, no database, no socket, at most one copy.
    ///
    /// - Parameters:
    ///   - bytes: borrowed; nil when only the id is known.
    ///   - began: when the host called, in steady nanoseconds.
    func stored(
        _ instance: GatewayInstanceID, callingAETitle: String, bytes: UnsafeRawPointer?, sizeBytes: Int, began: Int64
    ) -> Int32 {
        var payload: Payload?
        if let bytes = unsafe bytes, sizeBytes > 0, sizeBytes <= shared.settings.largestInstanceBytes,
            shared.window.reserveInHook(bytes: sizeBytes)
        {
            payload = unsafe Payload(copying: bytes, count: sizeBytes, to: shared.hookMemory)
            if payload == nil { shared.window.release(bytes: sizeBytes) }
        }
        let hasBytes = payload != nil
        let taken = shared.handOver.put(
            Arrival(
                instance: instance, callingAETitle: callingAETitle, sizeBytes: sizeBytes,
                receivedAtMilliseconds: Clock.nowMilliseconds(), payload: payload))
        if !taken, hasBytes { shared.window.release(bytes: sizeBytes) }
        let durations = hasBytes ? shared.handOver.durationsWithBytes : shared.handOver.durationsWithIDOnly
        durations.add(nanoseconds: Clock.steadyNanoseconds() &- began)
        return taken ? Code.ok : Code.full
    }

    func studyComplete(_ study: String) -> Int32 {
        shared.courier.post(.studyComplete(study)) ? Code.ok : Code.full
    }

    /// Whether the host should take an instance now; counts when not.
    func accepts() -> Bool { shared.refusal.accepts() }

    func metrics() -> [Metric] { Metrics(shared).all }

    func reconcile() { shared.ask(.reconcile) }

    // MARK: JSON

    func review(_ study: String, _ body: String) -> (code: Int32, text: String) {
        do throws(SQLiteError) {
            let verdict: Verdict
            switch Verdict.read(body, with: try JSON()) {
            case .success(let read): verdict = read
            case .failure(let error): return Gateway.refusal(error)
            }
            switch try shared.store.review(verdict, of: study, id: Shared.randomHex()) {
            case .success(let review):
                shared.courier.post(.reviewsAdded)
                return (Code.ok, review)
            case .failure(let error): return Gateway.refusal(error)
            }
        } catch {
            return (Code.unavailable, "The database cannot be used now: \(error)")
        }
    }

    private static func refusal(_ error: ReviewError) -> (code: Int32, text: String) {
        switch error {
        case .unknownStudy: (Code.notFound, "Gantry has no flag for this study.")
        case .badRequest(let sentence): (Code.badArgument, sentence)
        }
    }

    func status() -> (code: Int32, text: String) {
        guard let text = try? Status(shared).json() else { return (Code.unavailable, "") }
        return (Code.ok, text)
    }

    func worklist(limit: Int) -> (code: Int32, text: String) {
        let since = Clock.nowMilliseconds() &- shared.settings.worklistHours &* 3_600_000
        guard let text = try? shared.store.worklist(since: since, limit: limit) else { return (Code.unavailable, "") }
        return (Code.ok, text)
    }

    var worklistVersion: UInt64 { shared.store.worklistVersion }

    func priors(_ name: String) -> (code: Int32, text: String) {
        do {
            guard let text = try shared.store.priors(of: name) else { return (Code.notFound, "") }
            return (Code.ok, text)
        } catch {
            return (Code.unavailable, "")
        }
    }

    func study(_ name: String) -> (code: Int32, text: String) {
        do {
            guard let text = try shared.store.study(name) else { return (Code.notFound, "") }
            return (Code.ok, text)
        } catch {
            return (Code.unavailable, "")
        }
    }
}
