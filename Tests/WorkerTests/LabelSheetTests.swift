// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage
import Testing
import WorkerStore

@Suite struct LabelSheetTests {
    @Test func `Columns may come in any order and case, quoted and with other columns between`() throws {
        let sheet = try LabelSheet(
            "\u{FEFF}Present,note,FINDING,studyinstanceuid,reader\r\nyes,\"a, \"\"b\"\"\nc\",bleed,1.1,Dr. X\r\n0,,bleed,1.2,\r\n"
        )
        #expect(sheet.refusals.isEmpty)
        #expect(sheet.entries.map(\.studyInstanceUID) == ["1.1", "1.2"])
        #expect(sheet.entries.map(\.isPresent) == [true, false])
        #expect(sheet.entries.map(\.line) == [2, 4])
        #expect(sheet.entries.map(\.reader) == ["Dr. X", ""])
    }

    @Test func `A file without the needed columns is refused as a whole`() {
        #expect(throws: LabelSheet.Refusal.self) { try LabelSheet("study,label\n1,2\n") }
        #expect(throws: LabelSheet.Refusal.self) { try LabelSheet("") }
    }

    @Test func `A bad row is refused with its line, the others are read`() throws {
        let sheet = try LabelSheet(
            """
            StudyInstanceUID,finding,present
            1.1,bleed,maybe
            1.2,bleed,absent

            ,bleed,1
            1.3,bleed,1,too,many
            1.4,bleed,"1
            """)
        #expect(sheet.entries.map(\.studyInstanceUID) == ["1.2"])
        #expect(sheet.refusals.map(\.line) == [2, 5, 6, 7])
    }

    @Test func `An import takes what it can and says why it refuses the rest`() throws {
        let folder = try TemporaryFolder()
        let store = try WorkerStore(directory: folder.url)
        let live = version("one")
        try store.addModel(manifest(), live)
        try store.addStudy("1.1", package: live.package, accessionNumber: "A1")
        try store.addStudy("1.2", package: live.package, accessionNumber: "A2")
        try store.addStudy("1.3", package: live.package, accessionNumber: "A2")
        let sheet = try LabelSheet(
            """
            StudyInstanceUID,AccessionNumber,finding,present
            1.1,,bleed,1
            ,A1,bleed,0
            ,A2,bleed,1
            9.9,,bleed,1
            1.1,,fracture,1
            """)
        let result = try LabelImport(sheet, into: store, at: 10)
        #expect(result.read == 5 && result.accepted == 2)
        #expect(result.refused.map(\.line) == [4, 5, 6])
        #expect(result.refused[0].reason.contains("2 studies"))
        #expect(result.refused[1].reason.contains("not known"))
        #expect(result.refused[2].reason.contains("bleed"))
        #expect(try store.read { try $0.currentLabel("1.1", finding: "bleed") } == false)
    }

    @Test func `The same sheet imported twice adds nothing the second time`() throws {
        let folder = try TemporaryFolder()
        let store = try WorkerStore(directory: folder.url)
        let live = version("one")
        try store.addModel(manifest(), live)
        try store.addStudy("1.1", package: live.package)
        let sheet = try LabelSheet("StudyInstanceUID,finding,present\n1.1,bleed,1\n")
        for at: Int64 in [10, 20] { #expect(try LabelImport(sheet, into: store, at: at).accepted == 1) }
        #expect(try store.read { try $0.labelHistory("1.1").count } == 1)
        // Also after somebody has said something else.
        try store.addLabel("1.1", isPresent: false, at: 30)
        #expect(try LabelImport(sheet, into: store, at: 40).accepted == 1)
        #expect(try store.read { try $0.currentLabel("1.1", finding: "bleed") } == false)
    }
}
