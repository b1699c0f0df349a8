// SPDX-License-Identifier: GPL-3.0-or-later
import Wire
import ZeroMQ

/// From the outbox to the worker, within the window and the worker's credit.
extension Courier {
    private static let mostInFlight = 4_096
    private static let mostReading = 8
    private static let rowsPerLook = 64
    private static let retryMilliseconds: Int64 = 5_000
    private static let reviewRepeatMilliseconds: Int64 = 5_000
    private static let reviewsPerTurn = 64
    /// Reserved for an instance whose size is not known until it is read.
    private static let guessedBytes = 1_048_576

    func send() throws(ZeroMQError) {
        try sendFetchAnswers()
        try sendReviews()
        guard let active, links.indices.contains(active) else {
            shared.window.openToHook(bytes: 0)
            return
        }
        let link = links[active]
        let limit = min(shared.settings.windowBytes, Int(link.creditBytes))
        guard limit > 0, link.session != nil else {
            shared.window.openToHook(bytes: 0)
            return
        }
        try sendInstances(over: link, limit: limit)
        let isBehind = readBack(limit: limit)
        // Bytes that cannot be committed would only be dropped again.
        let isUsable = shared.store.health.failure == nil
        shared.window.openToHook(bytes: isBehind || !isUsable ? 0 : limit)
    }

    private func sendInstances(over link: WorkerLink, limit: Int) throws(ZeroMQError) {
        while inFlight.count < Courier.mostInFlight, var next = outgoing.first() {
            if routeAway(&next) { continue }
            let bytes = next.payload?.count ?? next.frame?.count ?? 0
            // One that is larger than the window or the credit travels alone.
            if !inFlight.isEmpty, inFlightBytes &+ bytes > limit { return }
            let frame = next.frame ?? next.payload?.makeFrame() ?? Frame()
            let message = ToWorker.instance(
                sequence: next.row.sequence, instance: next.row.instance,
                receivedAtMilliseconds: next.row.receivedAtMilliseconds, callingAETitle: next.row.callingAETitle)
            _ = outgoing.popFirst()
            if try !link.send(message, payload: frame) {
                next.payload = nil
                next.frame = frame
                outgoing.prepend(next)
                return
            }
            inFlight[next.row.sequence] = InFlight(
                sentBytes: bytes, reservedBytes: next.reservedBytes, rule: next.rule)
            inFlightBytes &+= bytes
        }
    }

    /// Asks the routing rules about the first of `outgoing`, while its bytes are at hand.
    ///
    /// - Returns: whether it is not handed over; it is settled then.
    private func routeAway(_ next: inout Outgoing) -> Bool {
        let rules = shared.settings.rules
        guard !rules.isEmpty, next.rule == nil, let payload = next.payload else { return false }
        let header = payload.header
        let decision = rules.decide(header, callingAETitle: next.row.callingAETitle)
        next.rule = decision.rule
        guard !decision.handsOver else { return false }
        _ = outgoing.popFirst()
        shared.window.release(bytes: next.reservedBytes)
        settlements.append(
            Settlement(
                sequence: next.row.sequence, outcome: Settlement.routedAway,
                studyInstanceUID: header.studyInstanceUID ?? "", reason: "rule: \(decision.rule)", rule: decision.rule))
        return true
    }

    /// Asks the archivist for the bytes of rows whose id alone is known, as far as there is room.
    ///
    /// - Returns: whether rows are still waiting.
    private func readBack(limit: Int) -> Bool {
        let now = Clock.steadyMilliseconds()
        while let due = retries.first, due.atSteadyMilliseconds <= now {
            retries.removeFirst()
            backlog.append(due.row)
        }
        while reading.count < Courier.mostReading {
            guard let row = nextOfBacklog() else { return !reading.isEmpty }
            let bytes = row.sizeBytes > 0 ? row.sizeBytes : Courier.guessedBytes
            if !shared.window.reserve(bytes: bytes, limit: limit) {
                guard shared.window.reservedBytes <= 0 else {
                    backlog.prepend(row)
                    return true
                }
                shared.window.reserveAnyway(bytes: bytes)
            }
            reading[row.sequence] = Reading(row: row, reservedBytes: bytes)
            let asksTitle = row.sizeBytes == 0 && row.callingAETitle.isEmpty && shared.settings.rules.askCallingAETitle
            if !shared.archivist.post(.read(sequence: row.sequence, row.instance, asksCallingAETitle: asksTitle)) {
                reading[row.sequence] = nil
                shared.window.release(bytes: bytes)
                backlog.prepend(row)
                return true
            }
        }
        return true
    }

    private func nextOfBacklog() -> OutboxRow? {
        if backlog.isEmpty, backlogMayHaveMore {
            // Without the database nothing can be sent; the next turn tries again.
            guard let rows = try? shared.store.outbox(after: backlogCursor, limit: Courier.rowsPerLook) else {
                return nil
            }
            backlogMayHaveMore = rows.count == Courier.rowsPerLook
            for row in rows {
                backlogCursor = row.sequence
                if claimed.insert(row.sequence).inserted { backlog.append(row) }
            }
        }
        return backlog.popFirst()
    }

    /// The archivist's answer for a row.
    func takeRead(_ sequence: Int64, _ result: Host.ReadResult, callingAETitle: String?) {
        guard var read = reading.removeValue(forKey: sequence) else { return }
        if let callingAETitle { read.row.callingAETitle = callingAETitle }
        switch result {
        case .bytes(let payload):
            // The size was a guess when the row came from the host's log.
            shared.window.release(bytes: read.reservedBytes)
            shared.window.reserveAnyway(bytes: payload.count)
            outgoing.append(Outgoing(row: read.row, payload: payload, reservedBytes: payload.count))
        case .gone:
            shared.window.release(bytes: read.reservedBytes)
            shared.live.update { $0.instancesGone &+= 1 }
            settlements.append(
                Settlement(
                    sequence: sequence, outcome: ToGateway.Outcome.setAside.rawValue, studyInstanceUID: "",
                    reason: "gone: the gateway no longer has this instance"))
        case .failed:
            shared.window.release(bytes: read.reservedBytes)
            shared.live.update { $0.readFailures &+= 1 }
            retries.append((read.row, Clock.steadyMilliseconds() &+ Courier.retryMilliseconds))
        }
    }

    /// A row was settled and committed: it is not ours any more.
    func land(_ sequence: Int64) {
        claimed.remove(sequence)
        guard let landed = inFlight.removeValue(forKey: sequence) else { return }
        inFlightBytes &-= landed.sentBytes
        shared.window.release(bytes: landed.reservedBytes)
    }

    /// Everything that is not settled is looked up again in the outbox when there is a worker for it.
    func takeBackEverything() {
        for flying in inFlight.values { shared.window.release(bytes: flying.reservedBytes) }
        inFlight.removeAll()
        inFlightBytes = 0
        while let waiting = outgoing.popFirst() { shared.window.release(bytes: waiting.reservedBytes) }
        for read in reading.values { shared.window.release(bytes: read.reservedBytes) }
        reading.removeAll()
        retries.removeAll()
        backlog = Queue()
        claimed.removeAll()
        shared.window.openToHook(bytes: 0)
        backlogCursor = 0
        backlogMayHaveMore = true
    }

    private func sendFetchAnswers() throws(ZeroMQError) {
        if !fetching, let next = fetches.popFirst() {
            fetching = shared.archivist.post(.fetch(link: next.link, request: next.request, next.instance))
            if !fetching { fetches.prepend(next) }
        }
        while let answer = answers.popFirst() {
            guard links.indices.contains(answer.link) else { continue }
            let link = links[answer.link]
            switch answer.result {
            case .bytes(let payload):
                let found = ToWorker.fetched(request: answer.request, instance: answer.instance, found: true)
                _ = try link.send(found, payload: payload.makeFrame())
            case .gone:
                _ = try link.send(.fetched(request: answer.request, instance: answer.instance, found: false))
            case .failed:
                _ = try link.send(
                    .error(
                        name: "fetch-failed", text: "Instance \(answer.instance.text) cannot be read now; ask again."))
            }
        }
    }

    private func sendReviews() throws(ZeroMQError) {
        let now = Clock.steadyMilliseconds()
        guard now >= reviewsAtSteadyMilliseconds, let active, links.indices.contains(active) else { return }
        let link = links[active]
        guard link.session != nil else { return }
        reviewsAtSteadyMilliseconds = now &+ Courier.reviewRepeatMilliseconds
        guard let reviews = try? shared.store.pendingReviews(limit: Courier.reviewsPerTurn) else { return }
        for review in reviews { _ = try link.send(.review(id: review.id), payload: Frame(review.json)) }
    }
}
