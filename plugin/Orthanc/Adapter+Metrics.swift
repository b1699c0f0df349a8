// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import COrthanc

/// Metrics twice over: in Orthanc's own `/tools/metrics-prometheus`, and with labels at `/gantry/metrics`.
///
/// Orthanc's registry knows names and values alone. That it would let a name with labels through is nothing to build
/// on, so there each labelled value gets a name of its own; the histogram has its percentiles, count and sum.
extension Adapter {
    struct Sample: Sendable {
        var family: String
        var help: String
        var kind: Int32
        var name: String
        var labels: String
        var value: Double
    }

    private final class Sink {
        var samples: [Sample] = []
    }

    /// OrthancPluginRegisterRefreshMetricsCallback: somebody is about to read them.
    func refreshMetrics() {
        for sample in samples() where !sample.name.hasSuffix("_bucket") {
            let name = Adapter.flatName(sample)
            unsafe OrthancPluginSetMetricsValue(
                orthanc.context, name, Float(sample.value), OrthancPluginMetricsType_Default)
        }
    }

    /// The Prometheus text format, version 0.0.4.
    func metrics() -> Response {
        var text = ""
        var family = ""
        for sample in samples() {
            if sample.family != family {
                family = sample.family
                text += "# HELP \(family) \(sample.help)\n# TYPE \(family) \(Adapter.kindName(sample.kind))\n"
            }
            let labels = sample.labels.isEmpty ? "" : "{\(sample.labels)}"
            text += "\(sample.name)\(labels) \(sample.value)\n"
        }
        return Response(
            type: "text/plain; version=0.0.4; charset=utf-8", headers: [("Cache-Control", "no-store")],
            body: Array(text.utf8))
    }

    private func samples() -> [Sample] {
        let sink = Sink()
        unsafe gantry_metrics(gateway, Unmanaged.passUnretained(sink).toOpaque()) { sink, metric in
            guard let sink = unsafe sink, let metric = unsafe metric?.pointee, let family = unsafe metric.family,
                let help = unsafe metric.help, let name = unsafe metric.name, let labels = unsafe metric.labels
            else { return }
            let sample = unsafe Sample(
                family: String(cString: family), help: String(cString: help), kind: metric.kind,
                name: String(cString: name), labels: String(cString: labels), value: metric.value)
            unsafe Unmanaged<Sink>.fromOpaque(sink).takeUnretainedValue().samples.append(sample)
        }
        return sink.samples
    }

    private static func kindName(_ kind: Int32) -> String {
        switch kind {
        case Int32(truncatingIfNeeded: GANTRY_METRIC_COUNTER.rawValue): "counter"
        case Int32(truncatingIfNeeded: GANTRY_METRIC_HISTOGRAM.rawValue): "histogram"
        default: "gauge"
        }
    }

    /// `gantry_flags{urgency="critical"}` becomes `gantry_flags_critical`. Endpoints are left out: a worker's number
    /// is enough.
    private static func flatName(_ sample: Sample) -> String {
        var name = sample.name
        for label in sample.labels.split(separator: ",") {
            let parts = label.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, parts[0] != "endpoint" else { continue }
            name += "_"
            for byte in parts[1].utf8 where byte != UInt8(ascii: "\"") {
                let isLetter = (0x61...0x7A).contains(byte | 0x20) || (0x30...0x39).contains(byte)
                name.unicodeScalars.append(isLetter ? Unicode.Scalar(byte) : "_")
            }
        }
        return name
    }
}
