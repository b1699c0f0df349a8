// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry

/// All metrics of a gateway, from memory alone: what the database holds is as old as the courier's last count.
struct Metrics {
    /// Bounds of the exported histogram, in microseconds; some of the hook's own.
    static let hookBounds: Set<Int64> = [5, 10, 20, 40, 60, 80, 100, 150, 250, 500, 1_000, 5_000, 20_000]
    static let urgencies = ["none", "routine", "urgent", "critical"]
    static let outcomes = [
        "scored", "ignored", "set-aside", Settlement.routedAway, Settlement.tooLarge, "own-result", "labelled",
        "unlabelled",
    ]

    private(set) var all: [Metric] = []

    init(_ shared: Shared) {
        let live = shared.live.current
        if let figures = live.figures { addOutbox(figures) }
        addTransfer(shared, live)
        addHook(shared.handOver)
        addWorkers(live.workers)
        if let figures = live.figures { addResults(figures, shared.settings.rules) }
        if let figures = live.figures { addObjects(figures, live, shared.settings.resultTargets) }
        addTroubles(shared, live)
    }

    // MARK: Groups

    private mutating func addOutbox(_ figures: Store.Figures) {
        gauge("gantry_outbox_instances", "Instances that no worker has acknowledged", figures.waiting)
        gauge("gantry_outbox_bytes", "Bytes of these instances, as far as known", figures.waitingBytes)
        let age = figures.oldestReceivedAtMilliseconds.map { max(Clock.nowMilliseconds() &- $0, 0) } ?? 0
        add("gantry_outbox_oldest_seconds", "Age of the oldest of these instances", value: Double(age) / 1_000)
    }

    private mutating func addTransfer(_ shared: Shared, _ live: LiveState.Snapshot) {
        gauge("gantry_in_flight_instances", "Instances sent and not acknowledged", live.inFlightInstances)
        gauge("gantry_in_flight_bytes", "Bytes sent and not acknowledged", live.inFlightBytes)
        gauge("gantry_held_bytes", "Bytes of instances in this process's memory", shared.window.reservedBytes)
        gauge("gantry_window_bytes", "Most bytes of instances in this process's memory", shared.settings.windowBytes)
    }

    private mutating func addHook(_ handOver: HandOver) {
        let counts = handOver.counts
        let taken = "gantry_hook_instances_total"
        let help = "Instances the hook took, with their bytes or with the id alone"
        add(
            taken, help, GANTRY_METRIC_COUNTER, labels: Metric.label("kept", "with_bytes"),
            value: Double(counts.withBytes))
        add(
            taken, help, GANTRY_METRIC_COUNTER, labels: Metric.label("kept", "with_id_only"),
            value: Double(counts.withIDOnly))
        counter(
            "gantry_hook_missed_total", "Instances left to the host's log because the queue was full", counts.missed)

        let kinds = [
            (Metric.label("kept", "with_bytes"), handOver.durationsWithBytes.snapshot),
            (Metric.label("kept", "with_id_only"), handOver.durationsWithIDOnly.snapshot),
        ]
        for (kept, durations) in kinds { addDurations(durations, kept: kept) }
        // For monitors that cannot read histograms.
        for (name, fraction) in [("p50", 0.5), ("p99", 0.99)] {
            for (kept, durations) in kinds {
                add(
                    "gantry_hook_\(name)_seconds", "Percentile of the time the hook took, since the start",
                    labels: kept, value: Double(durations.percentileMicroseconds(fraction)) / 1e6)
            }
        }
    }

    private mutating func addDurations(_ durations: Histogram.Snapshot, kept: String) {
        let family = "gantry_hook_seconds"
        let meaning = "Time the hook took for one instance"
        for (bound, count) in zip(Histogram.boundsMicroseconds, durations.cumulative)
        where Metrics.hookBounds.contains(bound) {
            add(
                family, meaning, GANTRY_METRIC_HISTOGRAM, name: family + "_bucket",
                labels: kept + "," + Metric.label("le", "\(Double(bound) / 1e6)"), value: Double(count))
        }
        add(
            family, meaning, GANTRY_METRIC_HISTOGRAM, name: family + "_bucket",
            labels: kept + "," + Metric.label("le", "+Inf"), value: Double(durations.total))
        add(
            family, meaning, GANTRY_METRIC_HISTOGRAM, name: family + "_sum", labels: kept,
            value: Double(durations.sumNanoseconds) / 1e9)
        add(
            family, meaning, GANTRY_METRIC_HISTOGRAM, name: family + "_count", labels: kept,
            value: Double(durations.total))
    }

    private mutating func addWorkers(_ workers: [LiveState.Worker]) {
        let labels = workers.enumerated().map { index, worker in
            Metric.label("worker", "\(index &+ 1)") + "," + Metric.label("endpoint", worker.endpoint)
        }
        for (worker, labels) in zip(workers, labels) {
            add(
                "gantry_worker_up", "Whether the worker answers, by its place in the setting Workers", labels: labels,
                value: worker.isConnected ? 1 : 0)
        }
        for (worker, labels) in zip(workers, labels) {
            add(
                "gantry_worker_refusals_total", "Connections that were refused because the peer may not be the worker",
                GANTRY_METRIC_COUNTER, labels: labels, value: Double(worker.refusals))
        }
    }

    private mutating func addResults(_ figures: Store.Figures, _ rules: RoutingRules) {
        for urgency in Metrics.urgencies {
            add(
                "gantry_flags", "Flags that are kept, by urgency", labels: Metric.label("urgency", urgency),
                value: Double(figures.flags[urgency] ?? 0))
        }
        for outcome in Metrics.outcomes + figures.outcomes.keys.filter({ !Metrics.outcomes.contains($0) }).sorted() {
            add(
                "gantry_instances_total", "Instances by what became of them", GANTRY_METRIC_COUNTER,
                labels: Metric.label("outcome", outcome), value: Double(figures.outcomes[outcome] ?? 0))
        }
        for tally in figures.reasons {
            add(
                "gantry_not_scored_total", "Instances that were set aside or ignored, by reason",
                GANTRY_METRIC_COUNTER,
                labels: Metric.label("outcome", tally.outcome) + "," + Metric.label("reason", tally.reason),
                value: Double(tally.instances))
        }
        for (index, rule) in rules.names.enumerated() {
            add(
                "gantry_rule_instances_total", "Instances by the routing rule that decided, 0 when none matched",
                GANTRY_METRIC_COUNTER, labels: Metric.label("rule", "\(index)"),
                value: Double(figures.rules[rule] ?? 0))
        }
    }

    /// The worker's results as DICOM objects: in the host's archive, and at other nodes.
    private mutating func addObjects(_ figures: Store.Figures, _ live: LiveState.Snapshot, _ targets: [String]) {
        for state in ["due", "stored", "refused"] {
            add(
                "gantry_results", "Results as DICOM objects that are kept, by what the gateway did with them",
                labels: Metric.label("state", state), value: Double(figures.results[state] ?? 0))
        }
        for (reason, count) in live.resultFailures.sorted(by: { $0.key < $1.key }) {
            add(
                "gantry_result_failures", "Results that the worker could not make, by reason",
                labels: Metric.label("reason", reason), value: Double(count))
        }
        let tallies = targets.map { target in
            figures.sends.first { $0.target == target } ?? Store.SendTally(target: target)
        }
        for tally in tallies {
            let target = Metric.label("target", tally.target)
            for (state, count) in [("due", tally.due), ("sent", tally.sent), ("failed", tally.failed)] {
                add(
                    "gantry_result_sends", "Results for other nodes, by node and state",
                    labels: target + "," + Metric.label("state", state), value: Double(count))
            }
        }
        for tally in tallies {
            add(
                "gantry_result_send_failures_total", "Attempts to send a result that failed, by node",
                GANTRY_METRIC_COUNTER, labels: Metric.label("target", tally.target),
                value: Double(live.sendFailures[tally.target] ?? 0))
        }
    }

    private mutating func addTroubles(_ shared: Shared, _ live: LiveState.Snapshot) {
        let health = shared.store.health
        add(
            "gantry_refusals_total", "Instances refused at the door, by reason", GANTRY_METRIC_COUNTER,
            labels: Metric.label("reason", "no-worker"), value: Double(shared.refusal.count))
        gauge("gantry_database_usable", "Whether gateway.sqlite can be used", health.failure == nil ? 1 : 0)
        counter("gantry_database_set_aside_total", "Damaged databases set aside since the start", health.setAside)
        for (kind, count) in [("flag", health.unreadable.flags), ("review", health.unreadable.reviews)] {
            add(
                "gantry_database_unreadable", "Rows that could not be read when the database was inspected last",
                labels: Metric.label("kind", kind), value: Double(count))
        }
        counter("gantry_found_in_log_total", "Instances the hook missed and the host's log told", live.foundInLog)
        counter("gantry_instances_gone_total", "Instances the host no longer had", live.instancesGone)
        counter("gantry_read_failures_total", "Instances the host could not read, to be tried again", live.readFailures)
        counter("gantry_given_back_total", "Acknowledged instances that a worker lost and gets again", live.givenBack)
        counter(
            "gantry_foreign_flags_total", "Flags of studies that belong to another worker by now", live.foreignFlags)
        counter("gantry_not_understood_total", "Messages that were not understood", live.messagesNotUnderstood)
    }

    // MARK: One metric

    private mutating func gauge(_ family: String, _ help: String, _ value: Int) {
        add(family, help, value: Double(value))
    }

    private mutating func counter(_ family: String, _ help: String, _ value: Int) {
        add(family, help, GANTRY_METRIC_COUNTER, value: Double(value))
    }

    private mutating func add(
        _ family: String, _ help: String, _ kind: gantry_metric_kind = GANTRY_METRIC_GAUGE, name: String? = nil,
        labels: String = "", value: Double
    ) {
        all.append(
            Metric(family: family, help: help, kind: kind, name: name ?? family, labels: labels, value: value))
    }
}
