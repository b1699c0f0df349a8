// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry

/// The texts of gantry_options, copied and checked.
struct Texts {
    struct Wrong: Error { var sentence: String }

    private static let longestPath = 4_000
    private static let longestName = 128

    var settings = ""
    var hostSettings: [String] = []
    var stateDirectory = "/var/lib/gantry"
    var name = "gateway"

    static func read(_ options: gantry_options, _ callbacks: gantry_host) -> Result<Texts, Wrong> {
        var texts = Texts()
        if unsafe callbacks.read_instance == nil { return wrong("gantry_host: read_instance is null") }
        if let pointer = unsafe options.settings_json {
            guard let text = unsafe Text.read(pointer) else {
                return wrong("gantry_options: settings_json is longer than 1 MiB")
            }
            texts.settings = text
        }
        if let pointer = unsafe options.host_settings {
            guard let text = unsafe Text.read(pointer) else {
                return wrong("gantry_options: host_settings is longer than 1 MiB")
            }
            texts.hostSettings = text.split(separator: " ").map(String.init)
        }
        if let pointer = unsafe options.state_directory {
            guard let text = unsafe Text.read(pointer, longest: longestPath), !text.isEmpty else {
                return wrong("gantry_options: state_directory is not text of 1 to \(longestPath) bytes")
            }
            texts.stateDirectory = text
        }
        if let pointer = unsafe options.name {
            guard let text = unsafe Text.read(pointer, longest: longestName), !text.isEmpty else {
                return wrong("gantry_options: name is not text of 1 to \(longestName) bytes")
            }
            texts.name = text
        }
        return .success(texts)
    }

    private static func wrong(_ sentence: String) -> Result<Texts, Wrong> { .failure(Wrong(sentence: sentence)) }
}
