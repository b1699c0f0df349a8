// SPDX-License-Identifier: GPL-3.0-or-later
import Testing
import Triage

@Suite struct HeldOutShareTests {
    @Test func `The same patient is always on the same side`() {
        let share = HeldOutShare(share: 0.3)
        for number in 0..<200 {
            let one = share.contains(patientID: "P\(number)", studyInstanceUID: "1.1")
            #expect(one == share.contains(patientID: " P\(number) ", studyInstanceUID: "1.2"))
        }
    }

    @Test func `About the share of the patients is held out`() {
        let share = HeldOutShare(share: 0.2)
        let count = (0..<5000).count { share.contains(patientID: "P\($0)", studyInstanceUID: "") }
        #expect((900...1100).contains(count))
    }

    @Test func `A larger share holds out the same patients and more`() {
        let small = HeldOutShare(share: 0.2)
        let large = HeldOutShare(share: 0.4)
        for number in 0..<500 where small.contains(patientID: "P\(number)", studyInstanceUID: "") {
            #expect(large.contains(patientID: "P\(number)", studyInstanceUID: ""))
        }
    }

    @Test func `Studies without a patient id are decided one by one`() {
        let share = HeldOutShare(share: 0.5)
        let sides = Set((0..<50).map { share.contains(patientID: "", studyInstanceUID: "1.\($0)") })
        #expect(sides.count == 2)
    }

    @Test func `A share of 0 holds out nobody`() {
        let share = HeldOutShare(share: 0)
        #expect((0..<500).allSatisfy { !share.contains(patientID: "P\($0)", studyInstanceUID: "") })
    }
}
