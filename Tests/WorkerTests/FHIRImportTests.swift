// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Statements
import Testing
import WorkerStore

@Suite struct FHIRImportTests {
    private let folder: TemporaryFolder
    private let store: WorkerStore

    init() throws {
        folder = try TemporaryFolder()
        store = try WorkerStore(directory: folder.url)
        let live = version("one")
        var manifest = manifest()
        manifest.findings[0].code = .init(scheme: "SCT", value: "1386000", meaning: "")
        try store.addModel(manifest, live)
        try store.addStudy("1.1", package: live.package, accessionNumber: "A1")
        try store.addStudy("1.2", package: live.package, accessionNumber: "A2")
        try store.addStudy("1.3", package: live.package, accessionNumber: "A2")
    }

    private func observation(
        _ value: Bool, status: String = "final", accession: String = "A1", issued: String = "1970-01-01T00:00:05Z",
        id: String = "o1"
    ) -> String {
        #"{"resourceType": "Observation", "id": "\#(id)", "status": "\#(status)", "issued": "\#(issued)", "identifier": [{"type": {"coding": [{"code": "ACSN"}]}, "value": "\#(accession)"}], "code": {"coding": [{"system": "http://snomed.info/sct", "code": "1386000"}]}, "valueBoolean": \#(value)}"#
    }

    @discardableResult
    private func take(_ resources: String..., at: Int64 = 1_000_000) throws -> FHIRImport {
        try FHIRImport(into: store, codes: .standard, at: at) { reading in
            for resource in resources { reading.add(Data(resource.utf8), file: "a.json") }
        }
    }

    private var label: Bool? {
        get throws { try store.read { try $0.currentLabel("1.1", finding: "bleed") } }
    }

    private var history: [Label] {
        get throws { try store.read { try $0.labelHistory("1.1") } }
    }

    @Test func `A final observation is a label, a repeat adds nothing`() throws {
        for at: Int64 in [1_000_000, 2_000_000] { #expect(try take(observation(true), at: at).accepted == 1) }
        #expect(try label == true)
        #expect(try history.map(\.at) == [5000])
        #expect(try history.map(\.source) == [.fhir])
    }

    @Test func `An amended version takes the place of the one before, and an older one does not`() throws {
        try take(observation(true))
        try take(observation(false, status: "amended", issued: "1970-01-01T00:00:06Z"))
        #expect(try label == false)
        #expect(try history.map { $0.withdrawnAt != nil } == [true, false])
        #expect(try take(observation(true)).refused.count == 1)
        #expect(try label == false)
    }

    @Test func `What was entered in error is taken back`() throws {
        try take(observation(true))
        #expect(try take(observation(true, status: "entered-in-error")).withdrawn == 1)
        #expect(try label == nil)
        try take(observation(true))
        #expect(try label == true)
    }

    @Test func `A study that is unknown or named twice is refused by resource`() throws {
        let result = try take(observation(true, accession: "A9"), observation(true, accession: "A2", id: "o2"))
        #expect(result.accepted == 0)
        #expect(result.refused.map(\.place) == ["Observation/o1", "Observation/o2"])
        #expect(result.refused[0].reason.contains("AccessionNumber") && result.refused[1].reason.contains("2 studies"))
    }

    @Test func `A time in the future is that of the import`() throws {
        try take(observation(true, issued: "2200-01-01T00:00:00Z"))
        #expect(try history.map(\.at) == [1_000_000])
    }
}
