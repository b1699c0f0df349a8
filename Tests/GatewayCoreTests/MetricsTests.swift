// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import Foundation
import Testing
import Wire

@testable import GatewayCore

@Suite struct MetricsTests {
    private final class Sink {
        var found: [(family: String, kind: Int32, name: String, labels: String, value: Double)] = []
    }

    private func metrics(_ gateway: OpenGateway) -> Sink {
        let sink = Sink()
        let code = gantry_metrics(gateway.handle, Unmanaged.passUnretained(sink).toOpaque()) { sink, metric in
            let metric = metric!.pointee
            #expect(metric.struct_size == MemoryLayout<gantry_metric>.size)
            #expect(strlen(metric.help) > 0)
            Unmanaged<Sink>.fromOpaque(sink!).takeUnretainedValue().found.append(
                (
                    String(cString: metric.family), metric.kind, String(cString: metric.name),
                    String(cString: metric.labels), metric.value
                ))
        }
        #expect(code == Code.ok)
        return sink
    }

    private func value(_ gateway: OpenGateway, _ name: String, _ labels: String = "") -> Double? {
        metrics(gateway).found.first { $0.name == name && $0.labels == labels }?.value
    }

    @Test func `metrics follow what happens`() throws {
        let place = try Place()
        let host = ScriptedHost()
        let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(gantry_metrics(gateway.handle, nil, nil) == Code.badArgument)
        for number in 0..<3 { #expect(host.store("i\(number)", [1, 2], in: gateway) == 0) }
        #expect(eventually { value(gateway, "gantry_outbox_instances") == 3 })
        #expect(value(gateway, "gantry_hook_instances_total", #"kept="id""#) == 3)
        #expect(value(gateway, "gantry_hook_seconds_count", #"kept="id""#) == 3)
        #expect(value(gateway, "gantry_hook_seconds_bucket", #"kept="id",le="+Inf""#) == 3)
        #expect(value(gateway, "gantry_worker_up", "worker=\"1\",endpoint=\"\(place.endpoint)\"") == 0)
        let worker = try ScriptedWorker(place.endpoint)
        let first = try #require(try worker.nextInstance())
        try worker.acknowledge(first)
        let second = try #require(try worker.nextInstance())
        try worker.acknowledge(second, outcome: .setAside, reason: "truncated: it ends after 7 bytes")
        let third = try #require(try worker.nextInstance())
        try worker.acknowledge(third, outcome: .setAside, reason: "Words without a name")
        try worker.say(
            .flag(flag: "f1", revision: 1, studyInstanceUID: "1.2.3"),
            payload: flagJSON(study: "1.2.3", urgency: "critical", probability: 0.9))
        #expect(
            try eventually {
                try worker.listen()
                return value(gateway, "gantry_outbox_instances") == 0
                    && value(gateway, "gantry_flags", #"urgency="critical""#) == 1
            })
        #expect(value(gateway, "gantry_instances_total", #"outcome="scored""#) == 1)
        #expect(value(gateway, "gantry_instances_total", #"outcome="set-aside""#) == 2)
        #expect(value(gateway, "gantry_not_scored_total", #"outcome="set-aside",reason="truncated""#) == 1)
        #expect(value(gateway, "gantry_not_scored_total", #"outcome="set-aside",reason="other""#) == 1)
        #expect(value(gateway, "gantry_worker_up", "worker=\"1\",endpoint=\"\(place.endpoint)\"") == 1)
        #expect(value(gateway, "gantry_database_usable") == 1)
    }

    @Test func `values of a family come together, have one kind and differ in their labels`() throws {
        let place = try Place()
        let gateway = try OpenGateway(ScriptedHost(), directory: place.directory, worker: place.endpoint)
        let found = metrics(gateway).found
        var ended: Set<String> = []
        var last = ""
        for metric in found {
            if metric.family != last {
                #expect(ended.insert(last).inserted)
                #expect(!ended.contains(metric.family), "\(metric.family) comes in two places")
                last = metric.family
            }
            #expect(metric.name.hasPrefix(metric.family))
            #expect(metric.family.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber || $0 == "_") })
            #expect(found.first { $0.family == metric.family }?.kind == metric.kind)
        }
        #expect(Set(found.map { $0.name + $0.labels }).count == found.count)
    }

    @Test func `label values are escaped`() {
        #expect(Metric.label("a", "x\"y\\z\n") == #"a="x\"y\\z\n""#)
    }

    @Test func `without the setting everything is accepted, with it nothing once the worker is away too long`() throws {
        let place = try Place()
        let host = ScriptedHost()
        do {
            let gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
            #expect(gantry_accepts(gateway.handle) == Code.ok)
        }
        let gateway = try OpenGateway(
            host, directory: place.directory, worker: place.endpoint, more: #", "RefuseWithoutWorkerSeconds": 1"#)
        #expect(gantry_accepts(gateway.handle) == Code.ok)
        #expect(eventually { gantry_accepts(gateway.handle) == Code.unavailable })
        #expect(value(gateway, "gantry_refusals_total", #"reason="no-worker""#) == 1)
        #expect(eventually { host.warnings.contains { $0.contains("new instances are refused") } })
        let worker = try ScriptedWorker(place.endpoint)
        #expect(
            try eventually {
                try worker.listen(); return gantry_accepts(gateway.handle) == Code.ok
            })
        #expect(eventually { host.warnings.contains { $0.contains("instances are accepted again") } })
        #expect(host.warnings.count { $0.contains("new instances are refused") } == 1)
        #expect(gantry_accepts(nil) == Code.badHandle)
    }
}
