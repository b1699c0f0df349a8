// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry

/// One value to monitor: `gantry_metric` in Swift.
struct Metric: Sendable, Equatable {
    var family: String
    var help: String
    var kind: gantry_metric_kind
    var name: String
    var labels: String
    var value: Double

    /// `name="value"`, escaped by the rules of the Prometheus text format.
    static func label(_ name: String, _ value: String) -> String {
        var escaped = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return "\(name)=\"\(escaped)\""
    }

    /// - Parameter body: gets a struct that is valid until it returns.
    func withC(_ body: (UnsafePointer<gantry_metric>) -> Void) {
        unsafe family.withCString { family in
            unsafe help.withCString { help in
                unsafe name.withCString { name in
                    unsafe labels.withCString { labels in
                        var metric = unsafe gantry_metric(
                            struct_size: MemoryLayout<gantry_metric>.size, family: family, help: help,
                            kind: Int32(truncatingIfNeeded: kind.rawValue), name: name, labels: labels, value: value)
                        unsafe body(&metric)
                    }
                }
            }
        }
    }
}
