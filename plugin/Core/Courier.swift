// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite
import Wire
import ZeroMQ

#if canImport(Glibc)
    import Glibc
#endif

/// Carries instances to the worker and brings back what it says. Lives on one thread, which owns the sockets.
///
/// Each turn: take what arrived (from the hook, the archivist, the workers), commit it, answer, send what fits.
final class Courier {
    private static let countMilliseconds: Int64 = 2_000

    let shared: Shared
    let links: [WorkerLink]

    // Not committed yet.
    private var arrivals: [Arrival] = []
    var settlements: [Settlement] = []
    var flags: [(link: Int, message: Store.FlagMessage)] = []
    var reviewAnswers: [Store.ReviewAnswer] = []
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
    /// Our own, as last read from the database; without a state before that.
    var receipts = ReceiptBook(state: "")
    var complaints = 0
    /// Workers (`ReceiptBook.state`) of studies by StudyInstanceUID; see Courier+Sharing.
    var assignments: [String: String] = [:]
    var presence = WorkerPresence()
    var presenceAtSteadyMilliseconds: Int64 = 0
    /// Whether the turn before carried instances so close to each other that the next one waits for company: one
    /// transaction and one poll serve several instances, and the hook need not wake anybody. What comes at a modality's
    /// pace does not wait, and neither does what the workers say about the last instance of a burst.
    private var isDense = false
    private var arrivedAtSteadyMilliseconds: Int64 = 0
    /// Instances closer to each other than this come in a burst.
    private static let denseMilliseconds: Int64 = 10
    /// A nap ends early when nothing came during a step of it.
    private static let napStepMilliseconds: UInt32 = 4
    private static let napSteps = 5
    /// The nap while instances wait for room or are read back, which then sets the pace.
    private static let shortNapMilliseconds: UInt32 = 5
    private static let lookMilliseconds: Int64 = 250
    private var wantsLook = false
    private var lookAtSteadyMilliseconds: Int64 = 0

    init(_ shared: Shared, context: Context) {
        self.shared = shared
        let settings = shared.settings
        let owners = SocketOwners(extra: settings.workerUser)
        if let complaint = owners.complaint { shared.host.warning(complaint) }
        links = settings.workers.enumerated().map { number, address in
            WorkerLink(
                address, number: number, keyFile: settings.keyFile, owners: owners, host: shared.host, in: context)
        }
        generation = shared.store.generation
        shared.live.update { live in live.workers = settings.workers.map { LiveState.Worker(endpoint: $0.endpoint) } }
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
        for link in links {
            try link.connectWhenDue()
            guard let connection = link.connection else { continue }
            watched.append(connection.monitor.socket)
            // What came after a hello waits until the hello is answered.
            if link.greeting == nil { watched.append(connection.socket) }
        }
        if isDense { nap() }
        try waitForInput(on: watched, or: shared.courierWakeup, timeoutMilliseconds: isDense ? 0 : waitMilliseconds)
        if shared.isStopping { return }
        isDense = false
        takeArrivals()
        readLetters()
        for index in links.indices { try listen(to: index) }
        save(evenAfterFailure: false)
        forgetRowsOfOldDatabase()
        meetWorkers()
        watchPresence()
        try sendHellos()
        try send()
        shared.hookMemory.adapt(isNeeded: links.contains { $0.session != nil }, now: Clock.steadyMilliseconds())
        lookForStudies()
        publish()
        reportRefusal()
        count()
    }

    private func nap() {
        guard outgoing.isEmpty, reading.isEmpty else {
            usleep(Courier.shortNapMilliseconds &* 1_000)
            return
        }
        var waiting = 0
        for _ in 0..<Courier.napSteps {
            usleep(Courier.napStepMilliseconds &* 1_000)
            let now = shared.handOver.waitingCount
            if now == waiting || shared.isStopping { return }
            waiting = now
        }
    }

    /// Short when something waits for room or for a retry, else until the next hello.
    private var waitMilliseconds: Int {
        if links.contains(where: { $0.load.queuedCount > 0 }) { return 20 }
        return arrivals.isEmpty && settlements.isEmpty ? 250 : 100
    }

    /// New studies are looked up a few times a second, not with each of their instances.
    private func lookForStudies() {
        let now = Clock.steadyMilliseconds()
        guard wantsLook, now >= lookAtSteadyMilliseconds else { return }
        wantsLook = false
        lookAtSteadyMilliseconds = now &+ Courier.lookMilliseconds
        shared.ask(.look)
    }

    // MARK: From the hook to the outbox

    private func takeArrivals() {
        // While the database cannot be used, the hook's queue is the bound.
        guard arrivals.isEmpty else { return }
        arrivals = shared.handOver.take()
        guard !arrivals.isEmpty else { return }
        let now = Clock.steadyMilliseconds()
        isDense = arrivals.count > 1 || now &- arrivedAtSteadyMilliseconds < Courier.denseMilliseconds
        arrivedAtSteadyMilliseconds = now
    }

    private func save(evenAfterFailure: Bool) {
        let now = Clock.steadyMilliseconds()
        guard evenAfterFailure || now >= saveAtSteadyMilliseconds else { return }
        do {
            try saveArrivalsAndSettlements()
            try saveFlags()
            try saveReviewAnswers()
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
        // What is read back comes in bursts too.
        if !outgoing.isEmpty || !reading.isEmpty { isDense = true }
        let (sequences, givenBack) = try shared.store.save(arrivals: arrivals, settlements: settlements)
        if givenBack > 0 { noteGivenBack(givenBack) }
        var refused: [Settlement] = []
        for (arrival, sequence) in zip(arrivals, sequences) {
            if let tooLarge = refuseTooLarge(sequence, arrival.instance, sizeBytes: arrival.sizeBytes) {
                refused.append(tooLarge)
                continue
            }
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
        if !settlements.isEmpty { wantsLook = true }
        arrivals.removeAll()
        settlements = refused
    }

    private func saveFlags() throws(SQLiteError) {
        guard !flags.isEmpty else { return }
        let (answers, receipt) = try shared.store.save(flags: flags.map(\.message))
        for ((link, message), answer) in zip(flags, answers) where links.indices.contains(link) {
            let revision = Int(truncatingIfNeeded: message.revision)
            let reply: ToWorker
            switch answer {
            case .kept(let held, let report):
                reply = .flagAck(
                    flag: message.flag, revision: revision, held: Int(truncatingIfNeeded: held), report: report,
                    receipt: receipt)
            case .foreign:
                shared.live.update { $0.foreignFlags &+= 1 }
                reply = .flagAck(
                    flag: message.flag, revision: revision, held: revision, report: "", receipt: receipt)
            case .unreadable:
                complain("a flag whose payload is not a flag")
                reply = .error(name: "bad-flag", text: "The payload of flag \(message.flag) is not a flag.")
            }
            // A lost acknowledgement makes the worker repeat the flag, which does no harm.
            _ = try? links[link].send(reply)
        }
        flags.removeAll()
        shared.ask(.look)
    }

    private func saveReviewAnswers() throws(SQLiteError) {
        guard !reviewAnswers.isEmpty else { return }
        if try shared.store.save(reviewAnswers: reviewAnswers) { backlogMayHaveMore = true }
        reviewAnswers.removeAll()
    }

    private func saveResults() throws(SQLiteError) {
        guard !results.isEmpty else { return }
        let receipt = try shared.store.save(results: results.map(\.message))
        for (link, message) in results where links.indices.contains(link) {
            // A lost acknowledgement makes the worker repeat the result, which does no harm.
            _ = try? links[link].send(.resultAck(object: message.object, accepted: true, reason: "", receipt: receipt))
        }
        results.removeAll()
        shared.ask(.look)
    }

    /// When a damaged database was set aside, its numbers mean nothing any more.
    private func forgetRowsOfOldDatabase() {
        let current = shared.store.generation
        guard current != generation else { return }
        generation = current
        takeBackEverything()
        shared.ask(.reconcile)
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
                // A hint: without it the study's worker waits for its quiet period.
                for link in links where link.session != nil {
                    _ = try? link.send(.studyComplete(studyInstanceUID: study))
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
        // A worker that hangs is lost after some seconds of silence, and from then on not there.
        if links.contains(where: { $0.session != nil }) { shared.refusal.workerIsThere() }
        let refuses = shared.refusal.refuses
        guard refuses != isRefusing else { return }
        isRefusing = refuses
        shared.host.warning(
            refuses
                ? "No worker was there for \(shared.settings.refuseWithoutWorkerSeconds) s: new instances are refused "
                    + "(setting RefuseWithoutWorkerSeconds) until one is back."
                : "A worker is back: instances are accepted again; \(shared.refusal.count) were refused since the start."
        )
    }

    /// Reads the database's figures for the metrics, which must not wait for it.
    private func count() {
        let now = Clock.steadyMilliseconds()
        guard now >= countAtSteadyMilliseconds else { return }
        countAtSteadyMilliseconds = now &+ Courier.countMilliseconds
        // Through the writer's connection, which is this thread's most of the time: a reader may be at a long worklist.
        let figures = try? shared.store.write { database throws(SQLiteError) in try Store.figures(in: database) }
        let failures = resultFailures()
        shared.live.update { live in
            if let figures { live.figures = figures }
            live.resultFailures = failures
        }
    }

    /// What the workers say that they could not tell as objects, by reason.
    private func resultFailures() -> [String: Int] {
        guard let json = try? JSON() else { return [:] }
        var failures: [String: Int] = [:]
        for link in links where link.session != nil {
            guard let failed = json.value(link.models, at: "$.results.failed") else { continue }
            for member in json.members(of: failed) { failures[member.name, default: 0] &+= Int(member.value) ?? 0 }
        }
        return failures
    }

    private func publish() {
        let workers = links.map { link in
            LiveState.Worker(
                endpoint: link.address.endpoint, name: link.name, version: link.version,
                isConnected: link.isConnected && link.session != nil,
                creditBytes: link.creditBytes, heardAtMilliseconds: link.heardAtMilliseconds, refusal: link.refusal,
                refusals: link.refusals, inFlightInstances: link.load.inFlightInstances,
                inFlightBytes: link.load.inFlightBytes)
        }
        let flying = inFlight.count
        let bytes = inFlightBytes
        let waiting = links.reduce(outgoing.count &+ reading.count) { $0 &+ $1.load.queuedCount }
        let models = links.first { $0.session != nil && !$0.models.isEmpty }?.models
        let notUnderstood = complaints
        shared.live.update { live in
            live.workers = workers
            if let models { live.models = models }
            live.inFlightInstances = flying
            live.inFlightBytes = bytes
            live.waitingInMemory = waiting
            live.messagesNotUnderstood = notUnderstood
        }
    }
}
