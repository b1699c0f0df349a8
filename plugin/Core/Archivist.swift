// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite
import Wire
import ZeroMQ

/// Does on one thread everything that may block in the host: reads instances back, finds studies' ids, shows flags,
/// reads the host's log. Nothing before the host is ready.
final class Archivist {
    private static let retryMilliseconds: Int64 = 5_000
    private static let reconcileMilliseconds: Int64 = 60_000
    private static let forgetMilliseconds: Int64 = 3_600_000
    private static let inspectMilliseconds: Int64 = 86_400_000
    private static let studiesPerTurn = 16
    /// So often a host may refuse before it is left alone until the next look.
    private static let mostRefusals = 16

    private let shared: Shared
    private let log: LogReading
    private var looksForStudies = false
    private var looksForFlags = false
    private var looksForResults = false
    // What the host refused last: it is passed by, so that it does not hold up the rest, until the end is reached.
    private var refusedStudy: Int64?
    private var refusedFlag = ""
    private var refusals = 0
    private var lookAgainAt: Int64 = 0
    private var reconcileAt: Int64 = 0
    private var isReconciling = false
    private var forgetAt: Int64 = 0
    private var inspectAt: Int64 = 0

    init(_ shared: Shared) {
        self.shared = shared
        log = LogReading(shared)
    }

    func run() {
        var hasWork = false
        while !shared.isStopping {
            do {
                try waitForInput(on: [], or: shared.archivistWakeup, timeoutMilliseconds: hasWork ? 0 : 500)
            } catch {
                shared.pause(milliseconds: 100)
            }
            guard shared.isHostReady, !shared.isStopping else { continue }
            for letter in shared.archivist.take() { answer(letter) }
            hasWork = turn()
        }
    }

    private func answer(_ letter: ArchivistLetter) {
        if shared.isStopping { return }
        switch letter {
        case .read(let sequence, let instance, let asksCallingAETitle):
            let title = asksCallingAETitle ? shared.host.callingAETitle(of: instance) : nil
            // Decided without it, a rule might route away what it is there to hand over.
            let mustWait = asksCallingAETitle && title == nil
            let result = mustWait ? .failed(code: Code.unavailable) : shared.host.read(instance)
            shared.courier.deliver(.read(sequence: sequence, result, callingAETitle: title))
        case .fetch(let link, let request, let instance):
            shared.courier.deliver(.fetched(link: link, request: request, instance, shared.host.read(instance)))
        }
    }

    /// One small piece of each kind of work, so that a long one does not hold up reading back.
    ///
    /// - Returns: whether there is more to do now.
    private func turn() -> Bool {
        let now = Clock.steadyMilliseconds()
        if shared.takeErrand(.look) || (lookAgainAt > 0 && now >= lookAgainAt) {
            lookAgainAt = 0
            refusals = 0
            looksForStudies = true
            looksForFlags = true
            looksForResults = true
        }
        if shared.handOver.takeMissed() || shared.takeErrand(.reconcile) || now >= reconcileAt { isReconciling = true }
        do {
            if looksForStudies { try resolveStudies() }
            if looksForFlags { try showFlag() }
            if looksForResults { try storeResult() }
        } catch {
            looksForStudies = false
            looksForFlags = false
            looksForResults = false
            lookAgainLater()
        }
        if isReconciling { reconcile(now) }
        if now >= forgetAt { forget(now) }
        if now >= inspectAt {
            inspectAt = now &+ Archivist.inspectMilliseconds
            shared.store.inspect()
        }
        return looksForStudies || looksForFlags || looksForResults || isReconciling
    }

    private func lookAgainLater() { lookAgainAt = Clock.steadyMilliseconds() &+ Archivist.retryMilliseconds }

    /// - Returns: whether the host may be asked for more in this look. The next one goes on behind what was refused.
    private func mayGoOnAfterRefusal() -> Bool {
        refusals &+= 1
        lookAgainLater()
        guard refusals >= Archivist.mostRefusals else { return true }
        looksForStudies = false
        looksForFlags = false
        return false
    }

    private func resolveStudies() throws(SQLiteError) {
        let studies = try shared.store.studiesToResolve(before: refusedStudy, limit: Archivist.studiesPerTurn)
        looksForStudies = studies.count == Archivist.studiesPerTurn
        for (id, instance) in studies {
            let found = GatewayInstanceID(instance).map { shared.host.study(of: $0) } ?? ""
            if let found {
                try shared.store.setGatewayStudy(found, of: id)
            } else {
                refusedStudy = id
                if !mayGoOnAfterRefusal() { return }
            }
        }
        if !looksForStudies { refusedStudy = nil }
    }

    private func showFlag() throws(SQLiteError) {
        guard let flag = try shared.store.flagToShow(after: refusedFlag) else {
            refusedFlag = ""
            looksForFlags = false
            return
        }
        if shared.host.show(flag) {
            try shared.store.markShown(flag)
        } else {
            refusedFlag = flag.flag
            _ = mayGoOnAfterRefusal()
        }
    }

    private func storeResult() throws(SQLiteError) {
        guard let result = try shared.store.resultToStore() else {
            looksForResults = false
            return
        }
        switch shared.host.store(result.file) {
        case Code.ok:
            try shared.store.markStored(result.object, refusal: nil, targets: shared.settings.resultTargets)
            shared.ask(.send)
        case Code.badArgument:
            shared.host.warning("The gateway refused a result of the worker; /gantry/studies says which.")
            try shared.store.markStored(result.object, refusal: "refused by the gateway", targets: [])
        default:
            // The same object comes first again: nothing is stored before the host can.
            looksForResults = false
            lookAgainLater()
        }
    }

    private func reconcile(_ now: Int64) {
        switch log.readPage() {
        case .more: break
        case .end:
            isReconciling = false
            reconcileAt = now &+ Archivist.reconcileMilliseconds
        case .failed:
            isReconciling = false
            reconcileAt = now &+ Archivist.retryMilliseconds
        }
    }

    private func forget(_ now: Int64) {
        forgetAt = now &+ Archivist.forgetMilliseconds
        let days = shared.settings.keepDays
        // The next hour tries again when the database cannot be used now.
        try? shared.store.forget(olderThan: Clock.nowMilliseconds() &- days &* 86_400_000)
    }
}
