// SPDX-License-Identifier: GPL-3.0-or-later

/// Why the site cannot train now, beside what the model's own error says.
enum TrainingFailure: Error, CustomStringConvertible {
    case noRoom(String)

    var description: String {
        switch self {
        case .noRoom(let disk): "no room for a delta: \(disk)"
        }
    }
}
