// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Testing

@testable import WorkerService

@Suite struct WorkerSettingsTests {
    private func settings(_ json: String, state: URL? = nil) throws -> WorkerSettings {
        try WorkerSettings(
            json: Data(json.utf8), name: "worker.json", folder: URL(filePath: "/etc/gantry/"), state: state)
    }

    @Test func `Only the state directory is needed and paths are relative to the file`() throws {
        let settings = try settings(#"{"state": "state", "packages": ["head", "/p/chest"], "quiet_seconds": 1}"#)
        #expect(settings.state.path == "/etc/gantry/state")
        #expect(settings.packages.map(\.path) == ["/etc/gantry/head", "/p/chest"])
        #expect(settings.quietMilliseconds(modality: "CT") == 1000)
        #expect(settings.endpoint == "ipc:///run/gantry/worker.ipc")
    }

    @Test func `The command line's state directory wins`() throws {
        #expect(try settings(#"{"state": "a"}"#, state: URL(filePath: "/b")).state.path == "/b")
        #expect(throws: SettingsError.noState) { try settings("{}") }
    }

    @Test func `An unknown key is an error that names it`() {
        #expect {
            try settings(#"{"state": "a", "quietseconds": 1}"#)
        } throws: {
            "\($0)".contains("“quietseconds”") && "\($0)".contains("quiet_seconds")
        }
    }

    @Test(arguments: [
        #"{"state": 1}"#, #"{"state": "a", "threads": "two"}"#, #"{"state": "a", "threads": 1.5}"#,
        #"{"state": "a", "packages": "one"}"#, #"{"state": "a", "quiet_seconds": true}"#, "[]", "{",
    ])
    func `A value of the wrong kind is an error`(json: String) {
        #expect(throws: SettingsError.self) { try settings(json) }
    }

    @Test func `Values that cannot work are refused with the setting's name`() throws {
        var settings = WorkerSettings(state: URL(filePath: "/s"))
        settings.threads = 0
        #expect(throws: SettingsError.badValue(key: "threads", expected: "1 to 256")) { try settings.check() }
        settings.threads = 1
        settings.nice = 20
        #expect(throws: SettingsError.badValue(key: "nice", expected: "0 to 19")) { try settings.check() }
        settings.nice = 10
        settings.hub = "tcp://h:1"
        #expect { try settings.check() } throws: { "\($0)".contains("hub_key") }
    }
}
