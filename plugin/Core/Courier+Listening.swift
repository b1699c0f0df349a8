// SPDX-License-Identifier: GPL-3.0-or-later
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
        while let event = try link.monitor.next() {
            switch event {
            case .connected:
                link.isConnected = true
                link.helloAtSteadyMilliseconds = 0
            case .disconnected:
                link.isConnected = false
                lose(index, because: "the connection was closed")
            }
        }
        for _ in 0..<Courier.messagesPerTurn {
            guard let frames = try link.socket.receive() else { break }
            try read(frames, from: index)
        }
        let silence = Clock.steadyMilliseconds() &- link.heardAtSteadyMilliseconds
        if link.session != nil, silence > WorkerLink.silenceMilliseconds {
            lose(index, because: "it has said nothing for \(silence / 1_000) s")
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
        case .hello(let worker, let session, let version):
            greet(index, worker: worker, session: session, version: version)
        case .credit(let bytes):
            if link.session != nil { link.creditBytes = bytes }
        case .ack(let sequence, let outcome, let studyInstanceUID, let reason):
            // From another session than the one we sent it to, it is just as true.
            settlements.append(
                Settlement(
                    sequence: sequence, outcome: outcome.rawValue, studyInstanceUID: studyInstanceUID, reason: reason,
                    rule: inFlight[sequence]?.rule))
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
                        flag: flag, revision: Int64(revision), studyInstanceUID: studyInstanceUID, json: payload.text)
                ))
        case .result(let object, let kind, let studyInstanceUID):
            take(
                Store.ResultMessage(
                    object: object, kind: kind, studyInstanceUID: studyInstanceUID,
                    file: payload.count <= Courier.largestResultBytes ? payload.bytes : []), from: index)
        case .reviewAck(let review, let accepted, let reason):
            reviewAnswers.append((review: review, accepted: accepted, reason: reason))
        case .modelStatus:
            let models = payload.text
            shared.live.update { $0.models = models }
        case .bye: lose(index, because: "it said goodbye")
        case .error(let name, let text):
            shared.host.warning("The worker could not read a message: \(name), \(text)")
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
        _ = try? links[index].send(.resultAck(object: result.object, accepted: false, reason: refusal))
    }

    private func greet(_ index: Int, worker: String, session: String, version: String) {
        let link = links[index]
        guard link.session != session else { return }
        if link.session != nil { lose(index, because: "it was restarted") }
        link.session = session
        link.isConnected = true
        link.name = worker
        link.version = version
        link.creditBytes = 0
        reviewsAtSteadyMilliseconds = 0
        let line = "Worker \(worker) (\(version)) is there at \(link.endpoint)."
        // Who read that it was lost also reads that it is back.
        if link.wasLost { shared.host.warning(line) } else { shared.host.info(line) }
        link.wasLost = false
    }

    /// What it has not acknowledged is for the next one, or for its next session.
    private func lose(_ index: Int, because reason: String) {
        let link = links[index]
        guard link.session != nil else { return }
        link.session = nil
        link.creditBytes = 0
        link.wasLost = true
        shared.host.warning(
            "Worker \(link.name) at \(link.endpoint) is lost: \(reason). Instances wait until it is back.")
        guard index == active else { return }
        active = nil
        takeBackEverything()
    }

    /// Stays with a worker as long as it lives, so that studies are not split.
    func chooseActive() {
        if let active, links.indices.contains(active), links[active].creditBytes > 0 || !inFlight.isEmpty { return }
        let willing = links.indices.first { links[$0].session != nil && links[$0].creditBytes > 0 }
        active = willing ?? active ?? links.indices.first { links[$0].session != nil }
    }

    func sendHellos() throws(ZeroMQError) {
        let now = Clock.steadyMilliseconds()
        for link in links where now >= link.helloAtSteadyMilliseconds {
            link.helloAtSteadyMilliseconds = now &+ WorkerLink.helloMilliseconds
            let settings = shared.settings
            _ = try link.send(.hello(gateway: settings.name, session: shared.session, version: Release.version))
        }
    }
}
