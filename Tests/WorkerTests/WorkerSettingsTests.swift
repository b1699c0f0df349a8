// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Testing
import Triage

@testable import Decoding
@testable import WorkerService

@Suite struct WorkerSettingsTests {
    private func settings(_ json: String, state: URL? = nil) throws -> WorkerSettings {
        try WorkerSettings(
            json: Data(json.utf8), name: "worker.json", folder: URL(filePath: "/etc/gantry/"), state: state)
    }

    @Test func `Only the state directory is needed and paths are relative to the file`() throws {
        let settings = try settings(#"{"state": "state", "packages": ["head", "/p/chest"], "quiet_seconds": 1}"#)
        #expect(settings.state.path == "/etc/gantry/state")
        #expect(settings.packages?.map(\.path) == ["/etc/gantry/head", "/p/chest"])
        #expect(settings.limits == SiteLimits() && settings.diskReserveMegabytes == nil)
        #expect(settings.quietPeriod(modality: "CT") == .init(milliseconds: 1000, countedMilliseconds: 500))
        #expect(settings.endpoint == "ipc:///run/gantry/worker.ipc")
    }

    @Test func `No list of packages says nothing, and an empty one says none`() throws {
        #expect(try settings(#"{"state": "a"}"#).packages == nil)
        #expect(try settings(#"{"state": "a", "packages": []}"#).packages == [])
    }

    @Test func `The site's limits are settings`() throws {
        let settings = try settings(
            """
            {"state": "a", "guard_margin_most": 0.01, "held_out_labels_least": 10, "training_studies_least": 20,
             "epochs_most": 3, "learning_rate_most": 0.01, "batch_studies_most": 8, "package_megabytes": 100,
             "hub_megabytes": 1000, "disk_reserve_megabytes": 5000}
            """)
        #expect(
            settings.limits
                == SiteLimits(
                    guardMarginMost: 0.01, heldOutLabelsLeast: 10, trainingStudiesLeast: 20, epochsMost: 3,
                    learningRateMost: 0.01, batchStudiesMost: 8))
        #expect(settings.packageMegabytes == 100 && settings.hubMegabytes == 1000)
        #expect(settings.diskReserveMegabytes == 5000)
        try settings.check()
    }

    @Test(arguments: [
        #""guard_margin_most": 2"#, #""held_out_labels_least": 0"#, #""training_studies_least": 0"#,
        #""epochs_most": 0"#, #""learning_rate_most": 0"#, #""batch_studies_most": 0"#, #""package_megabytes": 0"#,
        #""hub_megabytes": 0"#, #""disk_reserve_megabytes": -1"#,
    ])
    func `A limit that cannot work is an error that names it`(setting: String) throws {
        let settings = try settings(#"{"state": "a", \#(setting)}"#)
        #expect {
            try settings.check()
        } throws: {
            "\($0)".contains(setting.split(separator: "\"")[0])
        }
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

    @Test func `A site says where its modalities write their counts`() throws {
        let settings = try settings(
            """
            {"state": "a", "counted_quiet_seconds": 0.2, "expected_counts": [
                {"tag": "0054,0081", "counts": "series", "modality": "PT"},
                {"tag": "0019,xx9B", "creator": "GEMS_ACQU_01", "counts": "study", "manufacturer": "ge *", "station": "CT?"}
            ]}
            """)
        #expect(settings.quietPeriod(modality: "CT") == .init(milliseconds: 2000, countedMilliseconds: 200))
        var header = InstanceHeader(
            image: .success(.init(frames: 1, rows: 1, columns: 1, samplesPerFrame: 1)),
            manufacturer: "GE MEDICAL SYSTEMS", stationName: "ct1")
        header.numberOfStudyRelatedInstances = 3
        header.elements = [12, 40]
        #expect(ExpectedCounts(header, rules: settings.expectedCounts) == ExpectedCounts(study: 40))
        header.stationName = "MR1"
        #expect(ExpectedCounts(header, rules: settings.expectedCounts) == ExpectedCounts(study: 3))
        header.modality = "PT"
        #expect(ExpectedCounts(header, rules: settings.expectedCounts) == ExpectedCounts(study: 3, series: 12))
        header.elements = [nil, -1]
        #expect(ExpectedCounts(header, rules: settings.expectedCounts) == ExpectedCounts(study: 3))
    }

    @Test(arguments: [
        #"{"tag": "0019,109B", "counts": "study"}"#, #"{"tag": "0020,1002", "creator": "X", "counts": "study"}"#,
        #"{"tag": "00201002", "counts": "study"}"#, #"{"tag": "0020,1002"}"#, #"{"counts": "study"}"#,
        #"{"tag": "0020,1002", "counts": "patient"}"#, #"{"tag": "0020,1002", "counts": "study", "modalities": "CT"}"#,
        #""0020,1002""#,
    ])
    func `A rule for counts that cannot work is an error that names the setting`(rule: String) {
        #expect {
            try settings(#"{"state": "a", "expected_counts": [\#(rule)]}"#)
        } throws: {
            "\($0)".contains("expected_counts")
        }
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
