// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite
import Wire
import ZeroMQ

/// Carries instances to the worker and brings back what it says. Lives on one thread, which owns the sockets.
///
/// Each turn: take what arrived (from the hook, the archivist, the workers), commit it, answer, send what fits.
final class Courier {
    private static let countMilliseconds: Int64 = 2_000

    let shared: Shared
    let links: [WorkerLink]
    /// The link that gets instances: a study goes to one worker.
    var active: Int?

    // Not committed yet.
    private var arrivals: [Arrival] = []
    var settlements: [Settlement] = []
    var flags: [(link: Int, message: Store.FlagMessage)] = []
    var reviewAnswers: [(review: String, accepted: Bool, reason: String)] = []
    var results: [(link: Int, message: Store.ResultMessage)] = []
    private var saveAtSteadyMilliseconds: Int64 = 0

    // Committed and on their way; see Courier+Sending.
    var outgoing = Queue<Outgoing>()
    var backlog = Queue<OutboxRow>()
    var backlogCursor: Int64 = 0
    var backlogMayHaveMore = true
    var reading: [Int64: Reading] = [:]
    var inFlight: [Int64: InFlight] = [:]
    var inFlightBytes = 0
    var claimed: Set<Int64> = []
    var retries: [(row: OutboxRow, atSteadyMilliseconds: Int64)] = []
    /// What workers asked for again; read one at a time.
    var fetches = Queue<FetchRequest>()
    var fetching = false
    var answers = Queue<FetchAnswer>()

    var reviewsAtSteadyMilliseconds: Int64 = 0
    private var generation = 0
    private var isRefusing = false
    private var countAtSteadyMilliseconds: Int64 = 0
    var complaints = 0

    /// - Throws: `ZeroMQError` when the process has no room for the sockets.
    init(_ shared: Shared, context: Context) throws(ZeroMQError) {
        self.shared = shared
        var links: [WorkerLink] = []
        for (number, endpoint) in shared.settings.workers.enumerated() {
            links.append(try WorkerLink(endpoint: endpoint, number: number, in: context))
        }
        self.links = links
        generation = shared.store.generation
        shared.live.update { live in live.workers = shared.settings.workers.map { LiveState.Worker(endpoint: $0) } }
    }

    func run() {
        while !shared.isStopping {
            do {
                try turn()
            } catch {
                shared.host.error("The courier could not use its sockets: \(error). It tries again.")
                shared.pause(milliseconds: 1_000)
            }
        }
        save(evenAfterFailure: true)
        takeArrivals()
        save(evenAfterFailure: true)
        for link in links where link.session != nil { _ = try? link.send(.bye) }
        if !arrivals.isEmpty {
            shared.host.warning(
                "\(arrivals.count) instances could not be committed before the stop; they will be found in the gateway's log."
            )
        }
    }

    private func turn() throws(ZeroMQError) {
        var watched: [Socket] = []
        for link in links { watched += [link.socket, link.monitor.socket] }
        try waitForInput(on: watched, or: shared.courierWakeup, timeoutMilliseconds: waitMilliseconds)
        if shared.isStopping { return }
        takeArrivals()
        readLetters()
        for index in links.indices { try listen(to: index) }
        chooseActive()
        save(evenAfterFailure: false)
        forgetRowsOfOldDatabase()
        try sendHellos()
        try send()
        publish()
        reportRefusal()
        count()
    }

    /// Short when something waits for room or for a retry, else until the next hello.
    private var waitMilliseconds: Int {
        if !outgoing.isEmpty && active != nil { return 20 }
        return arrivals.isEmpty && settlements.isEmpty ? 250 : 100
    }

    // MARK: From the hook to the outbox

    private func takeArrivals() {
        // While the database cannot be used, the hook's queue is the bound.
        guard arrivals.isEmpty else { return }
        arrivals = shared.handOver.take()
    }

    private func save(evenAfterFailure: Bool) {
        let now = Clock.steadyMilliseconds()
        guard evenAfterFailure || now >= saveAtSteadyMilliseconds else { return }
        do {
            try saveArrivalsAndSettlements()
            try saveFlagsAndReviewAnswers()
            try saveResults()
        } catch {
            saveAtSteadyMilliseconds = now &+ 1_000
            // The bytes are given back: the archive has them, and memory stays bounded by the ids.
            for index in arrivals.indices { dropPayload(of: &arrivals[index]) }
            shared.window.openToHook(bytes: 0)
            // The worker repeats flags, review answers and results until they are acknowledged.
            flags.removeAll()
            reviewAnswers.removeAll()
            results.removeAll()
        }
    }

    private func dropPayload(of arrival: inout Arrival) {
        guard arrival.payload != nil else { return }
        arrival.payload = nil
        shared.window.release(bytes: arrival.sizeBytes)
    }

    private func saveArrivalsAndSettlements() throws(SQLiteError) {
        guard !arrivals.isEmpty || !settlements.isEmpty else { return }
        let sequences = try shared.store.save(arrivals: arrivals, settlements: settlements)
        for (arrival, sequence) in zip(arrivals, sequences) {
            guard let payload = arrival.payload else {
                backlogMayHaveMore = true
                continue
            }
            claimed.insert(sequence)
            let row = OutboxRow(
                sequence: sequence, instance: arrival.instance, sizeBytes: arrival.sizeBytes,
                receivedAtMilliseconds: arrival.receivedAtMilliseconds, callingAETitle: arrival.callingAETitle)
            outgoing.append(Outgoing(row: row, payload: payload, reservedBytes: arrival.sizeBytes))
        }
        for settlement in settlements { land(settlement.sequence) }
        if !settlements.isEmpty { shared.askArchivist(.look) }
        arrivals.removeAll()
        settlements.removeAll()
    }

    private func saveFlagsAndReviewAnswers() throws(SQLiteError) {
        guard !flags.isEmpty || !reviewAnswers.isEmpty else { return }
        let readable = try shared.store.save(flags: flags.map(\.message), reviewAnswers: reviewAnswers)
        for ((link, message), isReadable) in zip(flags, readable) where links.indices.contains(link) {
            let answer: ToWorker =
                isReadable
                ? .flagAck(flag: message.flag, revision: Int(truncatingIfNeeded: message.revision))
                : .error(name: "bad-flag", text: "The payload of flag \(message.flag) is not a flag.")
            if !isReadable { complain("a flag whose payload is not a flag") }
            // A lost acknowledgement makes the worker repeat the flag, which does no harm.
            _ = try? links[link].send(answer)
        }
        flags.removeAll()
        reviewAnswers.removeAll()
        shared.askArchivist(.look)
    }

    private func saveResults() throws(SQLiteError) {
        guard !results.isEmpty else { return }
        try shared.store.save(results: results.map(\.message))
        for (link, message) in results where links.indices.contains(link) {
            // A lost acknowledgement makes the worker repeat the result, which does no harm.
            _ = try? links[link].send(.resultAck(object: message.object, accepted: true, reason: ""))
        }
        results.removeAll()
        shared.askArchivist(.look)
    }

    /// When a damaged database was set aside, its numbers mean nothing any more.
    private func forgetRowsOfOldDatabase() {
        let current = shared.store.generation
        guard current != generation else { return }
        generation = current
        takeBackEverything()
        shared.askArchivist(.reconcile)
    }

    // MARK: Letters from other threads

    private func readLetters() {
        for letter in shared.courier.take() {
            switch letter {
            case .read(let sequence, let result, let title): takeRead(sequence, result, callingAETitle: title)
            case .fetched(let link, let request, let instance, let result):
                fetching = false
                answers.append(FetchAnswer(link: link, request: request, instance: instance, result: result))
            case .studyComplete(let study):
                if let active, links.indices.contains(active) {
                    // A hint: without it the worker waits for its quiet period.
                    _ = try? links[active].send(.studyComplete(studyInstanceUID: study))
                }
            case .reviewsAdded: reviewsAtSteadyMilliseconds = 0
            case .outboxGrew: backlogMayHaveMore = true
            }
        }
    }

    func complain(_ what: String) {
        complaints &+= 1
        // One line for the first and then for each power of ten: a peer cannot fill the log.
        if [1, 10, 100, 1_000, 10_000, 100_000].contains(complaints) {
            shared.host.warning("Message \(complaints) that was not understood: \(what).")
        }
    }

    /// One line when refusing begins and one when it ends.
    private func reportRefusal() {
        for link in links where link.session != nil {
            shared.refusal.workerWasHeard(atSteadyMilliseconds: link.heardAtSteadyMilliseconds)
        }
        let refuses = shared.refusal.refuses
        guard refuses != isRefusing else { return }
        isRefusing = refuses
        shared.host.warning(
            refuses
                ? "No worker was heard for \(shared.settings.refuseWithoutWorkerSeconds) s: new instances are refused "
                    + "(setting RefuseWithoutWorkerSeconds) until one is back."
                : "A worker is back: instances are accepted again; \(shared.refusal.count) were refused since the start."
        )
    }

    /// Reads the database's figures for the metrics, which must not wait for it.
    private func count() {
        let now = Clock.steadyMilliseconds()
        guard now >= countAtSteadyMilliseconds else { return }
        countAtSteadyMilliseconds = now &+ Courier.countMilliseconds
        guard let figures = try? shared.store.count() else { return }
        shared.live.update { $0.figures = figures }
    }

    private func publish() {
        let workers = links.enumerated().map { index, link in
            LiveState.Worker(
                endpoint: link.endpoint, name: link.name, version: link.version,
                isConnected: link.isConnected && link.session != nil, isActive: index == active,
                creditBytes: link.creditBytes, heardAtMilliseconds: link.heardAtMilliseconds)
        }
        let flying = inFlight.count
        let bytes = inFlightBytes
        let waiting = outgoing.count &+ reading.count
        let notUnderstood = complaints
        shared.live.update { live in
            live.workers = workers
            live.inFlightInstances = flying
            live.inFlightBytes = bytes
            live.waitingInMemory = waiting
            live.messagesNotUnderstood = notUnderstood
        }
    }
}
