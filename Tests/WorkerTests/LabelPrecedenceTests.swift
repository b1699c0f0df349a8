// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Testing
import WorkerStore

@Suite struct LabelPrecedenceTests {
    private func label(_ id: Int64, at: Int64, authoritative: Bool = true, withdrawn: Bool = false) -> Label {
        var label = Label(
            study: "1.1", finding: "bleed", isPresent: id % 2 == 0, source: .review, reader: "", role: "", at: at,
            isAuthoritative: authoritative, withdrawnAt: withdrawn ? 99 : nil)
        label.id = id
        return label
    }

    @Test func `The latest authoritative statement counts`() {
        #expect(Label.current([label(1, at: 5), label(2, at: 4)])?.id == 1)
        #expect(Label.current([label(1, at: 5), label(2, at: 9, authoritative: false)])?.id == 1)
        #expect(Label.current([label(1, at: 5, authoritative: false), label(2, at: 4, authoritative: false)])?.id == 1)
    }

    @Test func `Of the same moment the one that came last counts`() {
        #expect(Label.current([label(1, at: 5), label(2, at: 5)])?.id == 2)
    }

    @Test func `What was withdrawn counts no more`() {
        #expect(Label.current([label(1, at: 5, authoritative: false), label(2, at: 6, withdrawn: true)])?.id == 1)
        #expect(Label.current([label(2, at: 6, withdrawn: true)]) == nil)
        #expect(Label.current([]) == nil)
    }

    @Test func `The database agrees, whatever was said in which order`() throws {
        let folder = try TemporaryFolder()
        let store = try WorkerStore(directory: folder.url)
        let live = version("one")
        try store.addModel(manifest(), live)
        var random = SystemRandomNumberGenerator()
        for study in (1...60).map({ "1.\($0)" }) {
            try store.addStudy(study, package: live.package)
            try store.write { transaction in
                for _ in 0..<Int.random(in: 0...5, using: &random) {
                    try transaction.add(
                        Label(
                            study: StudyKey(stringLiteral: study), finding: "bleed",
                            isPresent: Bool.random(using: &random),
                            source: .review, reader: "", role: "", at: Int64.random(in: 1...3, using: &random),
                            isAuthoritative: Bool.random(using: &random),
                            withdrawnAt: Int.random(in: 0...3, using: &random) == 0 ? 9 : nil))
                }
            }
            let (history, current) = try store.read {
                (
                    try $0.labelHistory(StudyKey(stringLiteral: study)),
                    try $0.currentLabel(StudyKey(stringLiteral: study), finding: "bleed")
                )
            }
            #expect(Label.current(history)?.isPresent == current, "\(history)")
        }
    }
}
