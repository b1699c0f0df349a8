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

    /// - Throws: `ZeroMQError` when threads or file descriptors are exhausted.
    init(settings: GatewaySettings, host: Host) throws(ZeroMQError) {
        shared = try Shared(settings: settings, host: host)
        host.info(
            "Gantry \(Release.version) as \(settings.name); database in \(settings.stateDirectory); workers at "
                + "\(settings.workers.joined(separator: ", ")).")
        // The database is tried at once, so that the log says at start what is wrong with it.
        _ = try? shared.store.write { _ in }
        let shared = self.shared
        let courier = StoppableThread(name: "gantry-courier") {
            // libzmq's sockets belong to the thread that made them, and close before it ends.
            do throws(ZeroMQError) {
                try Courier(shared, context: try Context()).run()
            } catch {
                shared.host.error("Gantry cannot reach its workers: \(error). Check the setting Workers, then restart.")
                Gateway.commitWithoutWorkers(shared)
            }
        }
        let archivist = StoppableThread(name: "gantry-archive") { Archivist(shared).run() }
        try courier.start()
        do throws(ZeroMQError) {
            try archivist.start()
        } catch {
            shared.stop()
            _ = courier.join(timeoutMilliseconds: 5_000)
            throw error
        }
        threads.withLock { $0 = [courier, archivist] }
    }

    /// Without sockets the outbox goes on filling.
    private static func commitWithoutWorkers(_ shared: Shared) {
        while true {
            let isLast = shared.isStopping
            let arrivals = shared.handOver.take()
            if !arrivals.isEmpty {
                // What cannot be committed is found again in the host's log.
                if (try? shared.store.save(arrivals: arrivals, settlements: [])) == nil {
                    shared.askArchivist(.reconcile)
                }
            }
            if isLast { return }
            shared.pause(milliseconds: 500)
        }
    }

    /// - Returns: false when a thread had to be left behind.
    func close(timeoutMilliseconds: Int64) -> Bool {
        shared.stop()
        let threads = self.threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
        var ended = true
        for thread in threads where !thread.join(timeoutMilliseconds: timeoutMilliseconds) { ended = false }
        guard ended else {
            shared.host.warning("A thread of Gantry did not end in \(timeoutMilliseconds) ms and was left behind.")
            return false
        }
        shared.store.close()
        shared.host.destroy()
        return true
    }

    func hostReady() {
        shared.setHostReady()
        shared.askArchivist(.look)
    }

    /// The hot path: no disk, no database, no socket, at most one copy.
    ///
    /// - Parameter bytes: borrowed; nil when only the id is known.
    func stored(
        _ instance: GatewayInstanceID, callingAETitle: String, bytes: UnsafeRawPointer?, sizeBytes: Int
    ) -> Int32 {
        let began = Clock.steadyNanoseconds()
        var payload: Payload?
        if let bytes = unsafe bytes, sizeBytes > 0, shared.window.reserveInHook(bytes: sizeBytes) {
            payload = unsafe Payload(copying: bytes, count: sizeBytes)
            if payload == nil { shared.window.release(bytes: sizeBytes) }
        }
        let taken = shared.handOver.put(
            Arrival(
                instance: instance, callingAETitle: callingAETitle, sizeBytes: sizeBytes,
                receivedAtMilliseconds: Clock.nowMilliseconds(), payload: payload))
        if !taken, payload != nil { shared.window.release(bytes: sizeBytes) }
        shared.handOver.durations.add(nanoseconds: Clock.steadyNanoseconds() &- began)
        return taken ? Code.ok : Code.full
    }

    func studyComplete(_ study: String) -> Int32 {
        shared.courier.post(.studyComplete(study)) ? Code.ok : Code.full
    }

    /// Whether the host should take an instance now; counts when not.
    func accepts() -> Bool { shared.refusal.accepts() }

    func metrics() -> [Metric] { Metrics(shared).all }

    func reconcile() { shared.askArchivist(.reconcile) }

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

    func study(_ name: String) -> (code: Int32, text: String) {
        do {
            guard let text = try shared.store.study(name) else { return (Code.notFound, "") }
            return (Code.ok, text)
        } catch {
            return (Code.unavailable, "")
        }
    }
}
