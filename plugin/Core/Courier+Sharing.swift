// SPDX-License-Identifier: GPL-3.0-or-later
import Wire
import ZeroMQ

/// Several workers: each study goes to one of them, whole.
///
/// A new study goes to the worker with the most free credit and stays there. While its worker is away its instances wait
/// in the outbox; after the setting `FailOverSeconds` they go to another one, together with what the first one had
/// acknowledged of studies that it did not finish. Whose a study is, is kept with the first acknowledgement
/// (Store+Ownership); before that, `assignments` knows.
extension Courier {
    private static let lookMilliseconds: Int64 = 1_000
    private static let mostAssignments = 8_192

    /// Links whose workers take instances now.
    var willing: [Int] { links.indices.filter { links[$0].session != nil && links[$0].creditBytes > 0 } }

    // MARK: Sharing out

    /// How many bytes each worker may have in flight, so that a slow one does not fill the window alone.
    func shares(of willing: [Int]) -> [Int] {
        let share = shared.settings.windowBytes / max(willing.count, 1)
        return willing.map { min(share, Int(links[$0].creditBytes)) }
    }

    /// Gives each instance in memory to the link of its study's worker.
    func shareOut(among willing: [Int], _ shares: [Int]) {
        for (index, share) in zip(willing, shares) {
            for row in links[index].load.recall(share: share).reversed() { backlog.prepend(row) }
        }
        let shareOfLink = Dictionary(zip(willing, shares)) { first, _ in first }
        var parked: [(sequence: Int64, study: String)] = []
        while var next = outgoing.first() {
            if routeAway(&next) { continue }
            _ = outgoing.popFirst()
            if let index = destination(of: &next, among: willing) {
                let link = links[index]
                let hasRoom = link.load.hasRoom(for: next.payload.count, share: shareOfLink[index] ?? 0)
                // A worker alone has the whole window, and the hook keeps within it.
                if links.count == 1 || hasRoom {
                    link.load.queue(next)
                } else {
                    link.load.hold(next)
                    shared.window.release(bytes: next.reservedBytes)
                }
            } else {
                parked.append((next.row.sequence, next.study))
                shared.window.release(bytes: next.reservedBytes)
                claimed.remove(next.row.sequence)
            }
        }
        guard !parked.isEmpty else { return }
        // When the database cannot be used they are read once more.
        if (try? shared.store.park(parked)) == nil { lookAgainForBacklog() }
    }

    /// The link for an instance; nil while its study's worker is away.
    private func destination(of next: inout Outgoing, among willing: [Int]) -> Int? {
        // The usual case needs to know nothing about the instance.
        if links.count == 1, presence.away.isEmpty { return willing.first }
        let freest = willing.max { links[$0].freeBytes < links[$1].freeBytes }
        // Without a StudyInstanceUID there is no study to keep together.
        guard let study = next.payload.header.studyInstanceUID, !study.isEmpty else { return freest }
        next.study = study
        if let worker = assignments[study], let index = willing.first(where: { links[$0].receipts.state == worker }) {
            return index
        }
        let owner = (try? shared.store.owner(of: study)) ?? ""
        if presence.away.contains(owner) { return nil }
        guard let index = willing.first(where: { links[$0].receipts.state == owner }) ?? freest else { return nil }
        if assignments.count >= Courier.mostAssignments { forgetIdleAssignments() }
        assignments[study] = links[index].receipts.state
        return index
    }

    /// The database knows the owner of every study of which something was acknowledged.
    private func forgetIdleAssignments() {
        let busy = Set(inFlight.values.map(\.study))
        assignments = assignments.filter { busy.contains($0.key) }
    }

    // MARK: Presence

    /// Notices who is away, and gives up those who are away for too long.
    func watchPresence() {
        let now = Clock.steadyMilliseconds()
        guard now >= presenceAtSteadyMilliseconds else { return }
        presenceAtSteadyMilliseconds = now &+ Courier.lookMilliseconds
        takeBackOverdue(now)
        guard let owners = try? shared.store.owners() else { return }
        let before = presence.away
        let due = presence.look(
            owners: owners, present: Set(willing.map { links[$0].receipts.state }),
            others: !willing.isEmpty, failOverMilliseconds: shared.settings.failOverSeconds &* 1_000, now: now)
        for owner in due {
            guard let count = try? shared.store.giveBackUnfinished(workerState: owner) else { return }
            presence.giveUp(owner)
            guard count > 0 else { continue }
            shared.host.warning(
                "A worker has been away for \(shared.settings.failOverSeconds) s; its unfinished studies go to another "
                    + "one, with \(count) instances that it had acknowledged.")
            noteGivenBack(count)
        }
        if presence.away != before { lookAgainForBacklog() }
    }

    /// What a worker that is there has not acknowledged for too long is sent again: whatever became of it, a window full
    /// of such instances would hold up all others. A second copy does no harm.
    private func takeBackOverdue(_ now: Int64) {
        let since = now &- shared.settings.acknowledgeSeconds &* 1_000
        let overdue = inFlight.filter { $0.value.sentAtSteadyMilliseconds < since }
        guard !overdue.isEmpty else { return }
        for (sequence, flying) in overdue {
            inFlight[sequence] = nil
            inFlightBytes &-= flying.sentBytes
            if links.indices.contains(flying.link) { links[flying.link].load.land(bytes: flying.sentBytes) }
            shared.window.release(bytes: flying.reservedBytes)
            claimed.remove(sequence)
        }
        shared.host.warning(
            "\(overdue.count) instances were sent \(shared.settings.acknowledgeSeconds) s ago and are not acknowledged "
                + "(setting AcknowledgeSeconds); they are sent again.")
        shared.live.update { $0.givenBack &+= overdue.count }
        lookAgainForBacklog()
    }

    /// A worker was lost: what it has not acknowledged is looked up again in the outbox.
    func takeBack(from index: Int) {
        let link = links[index]
        if willing.isEmpty { return takeBackEverything() }
        for (sequence, flying) in inFlight where flying.link == index {
            inFlight[sequence] = nil
            inFlightBytes &-= flying.sentBytes
            shared.window.release(bytes: flying.reservedBytes)
            claimed.remove(sequence)
        }
        let (queued, held) = link.load.clear()
        for waiting in queued {
            shared.window.release(bytes: waiting.reservedBytes)
            claimed.remove(waiting.row.sequence)
        }
        for row in held { claimed.remove(row.sequence) }
        assignments = assignments.filter { $0.value != link.receipts.state }
        presenceAtSteadyMilliseconds = 0
        lookAgainForBacklog()
    }

    func lookAgainForBacklog() {
        backlogCursor = 0
        backlogMayHaveMore = true
    }
}
