// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite
import Wire
import ZeroMQ

/// What the workers say.
extension Courier {
    /// Messages read in one turn, so that arrivals are committed in between.
    private static let messagesPerTurn = 512

    private static let mostFetches = 1_024

    /// A report or a key image is far smaller.
    private static let largestResultBytes = 64 << 20

    func listen(to index: Int) throws(ZeroMQError) {
        let link = links[index]
        while let change = try link.nextChange() {
            if case .disconnected = change { lose(index, because: "the connection was closed") }
        }
        if link.isFlooding() {
            lose(index, because: "it sends more than a worker has to say")
            return link.refuse("the worker sends messages that never end, or more than can be read")
        }
        for _ in 0..<Courier.messagesPerTurn {
            guard link.greeting == nil, let frames = try link.receive() else { break }
            try read(frames, from: index)
        }
        let silence = Clock.steadyMilliseconds() &- link.heardAtSteadyMilliseconds
        if link.isConnected, silence > WorkerLink.silenceMilliseconds {
            lose(index, because: "it has said nothing for \(silence / 1_000) s")
            // Whoever still holds the connection, a new one finds out what is there.
            link.drop()
        }
    }

    private func read(_ frames: [Frame], from index: Int) throws(ZeroMQError) {
        let link = links[index]
        link.heardAtSteadyMilliseconds = Clock.steadyMilliseconds()
        link.heardAtMilliseconds = Clock.nowMilliseconds()
        do throws(WireError) {
            guard let payload = frames.last else { throw .empty }
            // Checked before any copy: the payload may be large, the text frames may not.
            for frame in frames.dropLast() where frame.count > Envelope.longestFieldBytes {
                throw .fieldTooLong(frame.count)
            }
            let message = try ToGateway(try Envelope(frames: frames.dropLast().map(\.bytes)))
            understand(message, payload: payload, from: index)
        } catch {
            complain("\(error)")
            _ = try link.send(.error(name: error.name, text: error.description))
        }
    }

    private func understand(_ message: ToGateway, payload: Frame, from index: Int) {
        let link = links[index]
        switch message {
        case .hello(let worker, let session, let version, let receipts):
            link.pieceBytes = Capabilities(payload.count <= Capabilities.longestBytes ? payload.text : "").pieceBytes
            greet(index, .init(worker: worker, session: session, version: version, receipts: receipts))
        case .credit(let bytes):
            guard link.session != nil else { return }
            if (link.creditBytes > 0) != (bytes > 0) { presenceAtSteadyMilliseconds = 0 }
            link.creditBytes = bytes
        case .ack(let sequence, let instance, let outcome, let studyInstanceUID, let reason, let receipt):
            // From another session than the one we sent it to, it is just as true, unless the worker lost it since.
            guard link.receipts.mayHold(receipt) else { return }
            if let flying = inFlight[sequence], flying.instance != instance {
                return complain("an acknowledgement of an instance by the number of another one")
            }
            settlements.append(
                Settlement(
                    sequence: sequence, instance: instance, outcome: outcome.rawValue,
                    studyInstanceUID: studyInstanceUID, reason: reason, rule: inFlight[sequence]?.rule,
                    worker: .init(name: link.name, receipt: receipt)))
        case .fetch(let request, let instance):
            if fetches.count < Courier.mostFetches {
                fetches.append(FetchRequest(link: index, request: request, instance: instance))
            } else {
                answers.append(FetchAnswer(link: index, request: request, instance: instance, result: .failed(code: 0)))
            }
        case .flag(let flag, let revision, let studyInstanceUID):
            flags.append(
                (
                    link: index,
                    message: Store.FlagMessage(
                        flag: flag, revision: Int64(revision), studyInstanceUID: studyInstanceUID, json: payload.text,
                        worker: link.name, workerState: link.receipts.state)
                ))
        case .result(let object, let kind, let flag, let studyInstanceUID):
            take(
                Store.ResultMessage(
                    object: object, kind: kind, flag: flag, studyInstanceUID: studyInstanceUID,
                    file: payload.count <= Courier.largestResultBytes ? payload.bytes : []), from: index)
        case .reviewAck(let review, let accepted, let reason, let receipt):
            guard link.receipts.mayHold(receipt) else { return }
            reviewAnswers.append(.init(review: review, accepted: accepted, reason: reason, receipt: receipt))
        case .modelStatus:
            let models = payload.text
            if let fault = JSONBounds.incoming.fault(in: models) {
                return complain("a model status whose payload \(fault)")
            }
            link.models = models
        case .bye: lose(index, because: "it said goodbye")
        case .error(let name, let text):
            guard link.lastError != text else { return }
            link.lastError = text
            shared.host.warning("The worker at \(link.address.endpoint) did not take a message: \(name), \(text)")
        }
    }

    private func take(_ result: Store.ResultMessage, from index: Int) {
        let refusal: String? =
            if !shared.host.storesInstances {
                "no-archive: this gateway stores no results"
            } else if result.file.isEmpty {
                "bad-size: a result is 1 to \(Courier.largestResultBytes) bytes"
            } else {
                nil
            }
        guard let refusal else { return results.append((link: index, message: result)) }
        _ = try? links[index].send(
            .resultAck(object: result.object, accepted: false, reason: refusal, receipt: Receipt(state: "", serial: 0)))
    }

    private func greet(_ index: Int, _ greeting: WorkerLink.Greeting) {
        let link = links[index]
        guard link.session != greeting.session else { return }
        guard !greeting.receipts.state.isEmpty else { return complain("a worker's hello without a state") }
        if link.session != nil { lose(index, because: "it was restarted") }
        link.greeting = greeting
    }

    /// Compares what workers that said hello still know with what we think they know. What they lost is in the outbox
    /// again before anything else is said.
    func meetWorkers() {
        for link in links {
            // What was read before the hello comes first.
            guard let greeting = link.greeting, settlements.isEmpty, reviewAnswers.isEmpty else { continue }
            guard !isNameTaken(greeting) else {
                link.greeting = nil
                link.refuse("a connected worker has the same name, \(greeting.worker); give each worker its own")
                continue
            }
            // Without the database nobody can be met; the next turn tries again.
            guard let count = try? shared.store.meet(worker: greeting.worker, receipts: greeting.receipts) else {
                return
            }
            link.greeting = nil
            link.session = greeting.session
            link.clearRefusal()
            link.receipts = greeting.receipts
            link.name = greeting.worker
            link.version = greeting.version
            link.creditBytes = 0
            link.heardAtSteadyMilliseconds = Clock.steadyMilliseconds()
            reviewsAtSteadyMilliseconds = 0
            let line = "Worker \(link.name) (\(link.version)) is there at \(link.address.endpoint)."
            // Who read that it was lost also reads that it is back.
            if link.wasLost { shared.host.warning(line) } else { shared.host.info(line) }
            link.wasLost = false
            if count > 0 {
                shared.host.warning(
                    "Worker \(link.name) has lost what it had acknowledged; \(count) instances are handed over again.")
                noteGivenBack(count)
            }
        }
    }

    /// A worker is known by its name and its database; two of one name would look like one that lost its database.
    private func isNameTaken(_ greeting: WorkerLink.Greeting) -> Bool {
        links.contains {
            $0.session != nil && $0.name == greeting.worker && $0.receipts.state != greeting.receipts.state
        }
    }

    /// Instances that wait in the outbox again.
    func noteGivenBack(_ count: Int) {
        backlogMayHaveMore = true
        shared.live.update { $0.givenBack &+= count }
    }

    /// What it has not acknowledged is for the next one, or for its next session.
    private func lose(_ index: Int, because reason: String) {
        let link = links[index]
        link.greeting = nil
        guard link.session != nil else { return }
        link.session = nil
        link.creditBytes = 0
        link.wasLost = true
        shared.host.warning(
            "Worker \(link.name) at \(link.address.endpoint) is lost: \(reason). Instances wait until it is back"
                + (links.count == 1 ? "." : " or, after \(shared.settings.failOverSeconds) s, go to another one."))
        takeBack(from: index)
    }

    func sendHellos() throws(ZeroMQError) {
        let now = Clock.steadyMilliseconds()
        for link in links where link.isConnected && now >= link.helloAtSteadyMilliseconds {
            link.helloAtSteadyMilliseconds = now &+ WorkerLink.helloMilliseconds
            // While the database cannot be used, what it held stays true; before it could be, nothing is known.
            if let book = try? shared.store.receipts() { receipts = book }
            let settings = shared.settings
            let session = receipts.state.isEmpty ? shared.session : "\(shared.session)-\(receipts.state)"
            _ = try link.send(
                .hello(gateway: settings.name, session: session, version: Release.version, receipts: receipts),
                payload: [Frame(Capabilities.current.text)])
        }
    }
}
