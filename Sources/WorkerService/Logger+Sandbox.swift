// SPDX-License-Identifier: GPL-3.0-or-later
import Logging
import Sandbox

extension Logger {
    /// Says what confines some processes, and what this system lacks.
    func tell(_ layers: SandboxLayers, confine processes: String) {
        let inForce = layers.names.joined(separator: ", ")
        if layers.missing.isEmpty {
            info("\(processes) are confined by \(inForce)")
        } else {
            notice(
                """
                \(processes) are confined by \(inForce); not here: \(layers.missing.joined(separator: ", ")) \
                (README, “Sandbox”)
                """)
        }
    }
}
