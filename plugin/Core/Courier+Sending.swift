// SPDX-License-Identifier: GPL-3.0-or-later
import Wire
import ZeroMQ

/// From the outbox to the worker, within the window and the worker's credit.
extension Courier {
    private static let mostInFlight = 4_096
    private static let mostReading = 32
    private static let rowsPerLook = 64
    private static let retryMilliseconds: Int64 = 5_000
    private static let reviewRepeatMilliseconds: Int64 = 5_000
    private static let reviewsPerTurn = 64
    /// Reserved for an instance whose size is not known until it is read.
    private static let guessedBytes = 1_048_576

    func send() throws(ZeroMQError) {
        try sendFetchAnswers()
        try sendReviews()
        let willing = willing
        guard !willing.isEmpty else {
            shared.window.openToHook(bytes: 0)
            return
        }
        let shares = shares(of: willing)
        shareOut(among: willing, shares)
        for (index, share) in zip(willing, shares) { try sendInstances(over: index, limit: share) }
        let credit = willing.reduce(Int64(0)) { $0 &+ min(links[$1].creditBytes, Int64(shared.settings.windowBytes)) }
        let limit = min(shared.settings.windowBytes, Int(credit))
        let isBehind = readBack(limit: limit)
        // Bytes that cannot be committed would only be dropped again.
        let isUsable = shared.store.health.failure == nil
        shared.window.openToHook(bytes: isBehind || !isUsable ? 0 : limit)
    }

    private func sendInstances(over index: Int, limit: Int) throws(ZeroMQError) {
        let link = links[index]
        let now = Clock.steadyMilliseconds()
        while inFlight.count < Courier.mostInFlight, let sent = try link.sendNext(limit: limit) {
            let bytes = sent.payload.count
            inFlight[sent.row.sequence] = InFlight(
                instance: sent.row.instance, link: index, study: sent.study, sentBytes: bytes,
                sentAtSteadyMilliseconds: now, reservedBytes: sent.reservedBytes, rule: sent.rule)
            inFlightBytes &+= bytes
        }
    }

    /// Asks the routing rules about the first of `outgoing`, while its bytes are at hand.
    ///
    /// - Returns: whether it is not handed over; it is settled then.
    func routeAway(_ next: inout Outgoing) -> Bool {
        let rules = shared.settings.rules
        guard !rules.isEmpty, next.rule == nil else { return false }
        let header = next.payload.header
        let decision = rules.decide(header, callingAETitle: next.row.callingAETitle)
        next.rule = decision.rule
        guard !decision.handsOver else { return false }
        _ = outgoing.popFirst()
        shared.window.release(bytes: next.reservedBytes)
        settlements.append(
            Settlement(
                sequence: next.row.sequence, instance: next.row.instance, outcome: Settlement.routedAway,
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
            guard
                let rows = try? shared.store.outbox(
                    after: backlogCursor, limit: Courier.rowsPerLook, withoutStudiesOf: presence.away)
            else {
                return nil
            }
            backlogMayHaveMore = rows.count == Courier.rowsPerLook
            for row in rows {
                backlogCursor = row.sequence
                if let refused = refuseTooLarge(row.sequence, row.instance, sizeBytes: row.sizeBytes) {
                    settlements.append(refused)
                } else if claimed.insert(row.sequence).inserted {
                    backlog.append(row)
                }
            }
        }
        return backlog.popFirst()
    }

    /// An instance larger than the administrator wants is settled here and never handed over; nil for all others.
    func refuseTooLarge(_ sequence: Int64, _ instance: GatewayInstanceID, sizeBytes: Int) -> Settlement? {
        let most = shared.settings.largestInstanceBytes
        guard sizeBytes > most else { return nil }
        return Settlement(
            sequence: sequence, instance: instance, outcome: Settlement.tooLarge, studyInstanceUID: "",
            reason: "too-large: \(sizeBytes) bytes; the setting LargestInstanceMegabytes allows \(most)")
    }

    /// The archivist's answer for a row.
    func takeRead(_ sequence: Int64, _ result: Host.ReadResult, callingAETitle: String?) {
        guard var read = reading.removeValue(forKey: sequence) else { return }
        if let callingAETitle { read.row.callingAETitle = callingAETitle }
        switch result {
        case .bytes(let payload):
            // The size was a guess when the row came from the host's log.
            shared.window.release(bytes: read.reservedBytes)
            if let refused = refuseTooLarge(sequence, read.row.instance, sizeBytes: payload.count) {
                return settlements.append(refused)
            }
            shared.window.reserveAnyway(bytes: payload.count)
            outgoing.append(Outgoing(row: read.row, payload: payload, reservedBytes: payload.count))
        case .gone:
            shared.window.release(bytes: read.reservedBytes)
            shared.live.update { $0.instancesGone &+= 1 }
            settlements.append(
                Settlement(
                    sequence: sequence, instance: read.row.instance, outcome: ToGateway.Outcome.setAside.rawValue,
                    studyInstanceUID: "", reason: "gone: the gateway no longer has this instance"))
        case .failed:
            shared.window.release(bytes: read.reservedBytes)
            shared.live.update { $0.readFailures &+= 1 }
            retries.append((read.row, Clock.steadyMilliseconds() &+ Courier.retryMilliseconds))
        }
    }

    /// A row was settled and committed: it is not ours any more.
    func land(_ sequence: Int64) {
        claimed.remove(sequence)
        for link in links { link.load.forgetRecalled(sequence) }
        guard let landed = inFlight.removeValue(forKey: sequence) else { return }
        inFlightBytes &-= landed.sentBytes
        if links.indices.contains(landed.link) { links[landed.link].load.land(bytes: landed.sentBytes) }
        shared.window.release(bytes: landed.reservedBytes)
    }

    /// Everything that is not settled is looked up again in the outbox when there is a worker for it.
    func takeBackEverything() {
        for flying in inFlight.values { shared.window.release(bytes: flying.reservedBytes) }
        inFlight.removeAll()
        inFlightBytes = 0
        for link in links {
            for waiting in link.load.clear().queued { shared.window.release(bytes: waiting.reservedBytes) }
        }
        while let waiting = outgoing.popFirst() { shared.window.release(bytes: waiting.reservedBytes) }
        for read in reading.values { shared.window.release(bytes: read.reservedBytes) }
        reading.removeAll()
        retries.removeAll()
        backlog = Queue()
        claimed.removeAll()
        assignments.removeAll()
        shared.window.openToHook(bytes: 0)
        lookAgainForBacklog()
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
                _ = try link.send(found, payload: payload)
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
        guard now >= reviewsAtSteadyMilliseconds, let first = links.first(where: { $0.session != nil }) else { return }
        reviewsAtSteadyMilliseconds = now &+ Courier.reviewRepeatMilliseconds
        guard let reviews = try? shared.store.pendingReviews(limit: Courier.reviewsPerTurn) else { return }
        for review in reviews where !presence.away.contains(review.owner) {
            // The label belongs where the study's slices are.
            let owner = links.first { $0.session != nil && $0.receipts.state == review.owner }
            _ = try (owner ?? first).send(.review(id: review.id), payload: [Frame(review.json)])
        }
    }
}
