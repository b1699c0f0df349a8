// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import ModelPackage
import Testing

@Suite struct FederationWireTests {
    static let hash = Hash(of: Data("h".utf8))
    static let version = ModelVersion(package: hash, parameters: Hash(of: Data("p".utf8)))
    static let manifest = TestPackage.manifest(Data("delta".utf8), round: 3, base: version.id)
    static let state = SiteState(
        version: "0.1.0",
        packages: [.init(package: hash, live: version.id, trainingLabels: 20, newLabels: 3, heldOutLabels: 6)])
    static let config = RoundConfig(
        round: 3, base: version, secondsLeft: 50, minimumLabels: 8, epochs: 2, batchStudies: 4, optimiser: .adam,
        learningRate: 0.001, weightDecay: 0, momentum: 0.9, seed: .max)
    static let report = VersionReport(
        version: hash, decision: .refused, heldOutLabels: 7, candidateAUC: 0.75, liveAUC: nil)

    static let toHub: [ToHub] = [
        .hello(state), .fetch(hash: hash, offset: 0, length: 1 << 20), .offer(manifest),
        .chunk(round: 3, hash: hash, offset: 9, bytes: Data([0, 255, 10])), .report(report),
    ]

    static let toSite: [ToSite] = [
        .welcome(
            HubState(
                site: "A",
                models: [
                    .init(
                        name: "m", version: version, files: [.init(path: "models/model.ts", hash: hash, bytes: 5)],
                        parametersBytes: 99, roundsClosed: 2, round: config)
                ])), .piece(hash: hash, offset: 7, bytes: Data([1])), .piece(hash: hash, offset: 7, bytes: Data()),
        .resume(round: 1, received: 0), .accepted(round: 8), .refused(round: 8, reason: .notFinite),
        .noted(version: hash), .error(name: "unknown-file", text: "not here"),
    ]

    @Test(arguments: toHub) func `what a site says arrives as it was said`(message: ToHub) throws {
        #expect(try ToHub(parts: try message.parts()) == message)
        #expect(try ToHub(frames: try message.frames()) == message)
    }

    @Test(arguments: toSite) func `what the hub says arrives as it was said`(message: ToSite) throws {
        #expect(try ToSite(parts: try message.parts()) == message)
    }

    @Test(arguments: DeltaRefusal.all) func `every reason of a refusal can be told`(reason: DeltaRefusal) throws {
        let message = ToSite.refused(round: 2, reason: reason)
        #expect(try ToSite(parts: try message.parts()) == message)
    }

    @Test func `the first frame names the protocol and the verb and the last is the payload`() throws {
        let parts = try ToHub.chunk(round: 3, hash: Self.hash, offset: 9, bytes: Data([7])).parts()
        #expect(
            parts.map { String(decoding: $0, as: UTF8.self) } == ["GANTRYFED1 chunk", "3", Self.hash.hex, "9", "\u{7}"])
    }

    static func text(_ parts: [String]) -> [Data] { parts.map { Data($0.utf8) } }

    static let hostile: [(parts: [Data], name: String)] = [
        ([], "empty"), (text(["GANTRYFED1 hello"]), "empty"), (text(["GANTRYFED2 hello", "{}"]), "other-protocol"),
        (text(["GANTRYFED1", ""]), "other-protocol"), (text(["GANTRYFED1 dance", ""]), "unknown-verb"),
        (text(["GANTRYFED1 hello", "x", "{}"]), "wrong-fields"), (text(["GANTRYFED1 hello", "{}"]), "bad-document"),
        (text(["GANTRYFED1 hello", "[1"]), "bad-document"),
        (text(["GANTRYFED1 fetch", hash.hex, "0", "0", ""]), "bad-value"),
        (text(["GANTRYFED1 fetch", hash.hex, "0", "1048577", ""]), "bad-value"),
        (text(["GANTRYFED1 fetch", hash.hex, "-1", "5", ""]), "bad-value"),
        (text(["GANTRYFED1 fetch", hash.hex, "+1", "5", ""]), "bad-value"),
        (text(["GANTRYFED1 fetch", hash.hex, "99999999999999999999", "5", ""]), "bad-value"),
        (text(["GANTRYFED1 fetch", "../../hub.key", "0", "5", ""]), "bad-value"),
        (text(["GANTRYFED1 fetch", hash.hex, "0", "5", "extra"]), "unexpected-payload"),
        (text(["GANTRYFED1 chunk", "1", hash.hex, "0", ""]), "bad-value"),
        ([Data("GANTRYFED1 chunk".utf8), Data([0xFF, 0xFE]), Data(), Data(), Data([1])], "not-text"),
        ([Data("GANTRYFED1 chunk".utf8), Data(count: 600), Data()], "field-too-long"),
        (text(Array(repeating: "x", count: 9)), "too-many-frames"),
        ([Data("GANTRYFED1 hello".utf8), Data(count: (1 << 20) + 1)], "payload-too-large"),
        ([Data("GANTRYFED1 hello".utf8), Data(count: (64 << 10) + 1)], "payload-too-large"),
        (
            text([
                "GANTRYFED1 report",
                #"{"version":"\#(hash.hex)","decision":"live","heldOutLabels":3,"candidateAUC":1.5}"#,
            ]), "bad-value"
        ),
        (text(["GANTRYFED1 hello", #"{"version":"<script> x","packages":[]}"#]), "bad-value"),
    ]

    @Test(arguments: hostile) func `a message that is not one is refused by name`(parts: [Data], name: String) {
        let error = #expect(throws: FederationError.self) { try ToHub(parts: parts) }
        #expect(error?.name == name)
    }

    @Test func `a hub cannot make a site write outside the package`() throws {
        for path in ["../evil", "/etc/passwd", "models/../../x", "a//b", ""] {
            let state = HubState(
                site: "A",
                models: [
                    .init(
                        name: "m", version: Self.version, files: [.init(path: path, hash: Self.hash, bytes: 5)],
                        parametersBytes: 9, roundsClosed: 0, round: nil)
                ])
            let parts = try ToSite.welcome(state).parts()
            #expect(throws: FederationError.badValue(verb: "welcome", field: "models.files.path")) {
                try ToSite(parts: parts)
            }
        }
    }

    @Test func `a metric that is no number is not sent`() {
        var manifest = Self.manifest
        manifest.metrics.lossLastEpoch = .nan
        let error = #expect(throws: FederationError.self) { try ToHub.offer(manifest).parts() }
        #expect(error?.name == "bad-document")
        #expect(error?.description.contains("metrics.lossLastEpoch") == true)
    }

    @Test func `a document's error says where and does not quote the document`() {
        let parts = Self.text(["GANTRYFED1 hello", #"{"version":"1","packages":[{"package":"Meier^Anna"}]}"#])
        let error = #expect(throws: FederationError.self) { try ToHub(parts: parts) }
        #expect(error?.description.contains("packages") == true)
        #expect(error?.description.contains("Meier") == false)
    }

    // MARK: Older and newer peers

    /// Recorded from the first release.
    @Test func `what a site of the first release says is understood`() throws {
        let hash = Self.hash.hex
        let hello = Self.text([
            "GANTRYFED1 hello",
            #"{"packages":[{"heldOutLabels":6,"live":"\#(hash)","newLabels":3,"package":"\#(hash)","trainingLabels":20}],"version":"0.1.0"}"#,
        ])
        guard case .hello(let state) = try ToHub(parts: hello) else {
            Issue.record("no hello")
            return
        }
        #expect(state.capabilities == nil && state.packages.first?.labelledStudies == nil)
        let report = Self.text([
            "GANTRYFED1 report",
            #"{"candidateAUC":0.75,"decision":"refused","heldOutLabels":7,"liveAUC":0.8,"version":"\#(hash)"}"#,
        ])
        guard case .report(let said) = try ToHub(parts: report) else {
            Issue.record("no report")
            return
        }
        #expect(said.reason == nil && said.figures == nil && said.decision == .refused)
    }

    @Test func `a reason that this release does not know is kept as it came`() throws {
        let message = ToSite.refused(round: 4, reason: DeltaRefusal(rawValue: "too-green"))
        #expect(try ToSite(parts: Self.text(["GANTRYFED1 refused", "4", "too-green", ""])) == message)
        for text in ["", "two words", String(repeating: "x", count: 65)] {
            #expect(throws: FederationError.badValue(verb: "refused", field: "reason")) {
                try ToSite(parts: Self.text(["GANTRYFED1 refused", "4", text, ""]))
            }
        }
    }

    @Test func `a site of the first release hears only reasons that it knows`() {
        let known: Set<DeltaRefusal> = [
            .unknownRound, .roundClosed, .repeatedRound, .wrongBase, .wrongShape, .notFinite, .wrongHash, .wrongSize,
            .unknownCodec, .badWeight, .malformed, .notInCohort,
        ]
        #expect(DeltaRefusal.all.allSatisfy { known.contains($0.forFirstRelease) })
    }

    @Test func `a report with figures arrives as it was said, and none that is no share`() throws {
        var report = Self.report
        report.reason = "sensitivity"
        report.figures = .init(candidateSensitivity: 0.5, liveSensitivity: 1, candidateFlagged: 0, recentStudies: 64)
        let message = ToHub.report(report)
        #expect(try ToHub(parts: try message.parts()) == message)
        report.figures?.liveFlagged = 1.5
        let parts = try ToHub.report(report).parts()
        #expect(throws: FederationError.badValue(verb: "report", field: "figures")) { try ToHub(parts: parts) }
    }
}
