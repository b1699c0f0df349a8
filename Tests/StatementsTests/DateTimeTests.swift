// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Testing

@testable import Statements

@Suite struct DateTimeTests {
    @Test(arguments: [
        ("20260102", 1_767_315_600_000 as Int64), ("20260102030405.678", 1_767_326_645_678),
        ("20260102030405+0000", 1_767_323_045_000), ("202601020304-0230", 1_767_332_040_000),
    ])
    func `A DICOM date time is read in its own zone, else in that of the place`(text: String, milliseconds: Int64)
        throws
    {
        let place = try #require(TimeZone(secondsFromGMT: -3600))
        #expect(Int64(dicomDateTime: text, zone: place) == milliseconds)
    }

    @Test(arguments: ["", "2026", "20261302", "20260102250000", "2026-01-02", "2026010a", "²0260102"])
    func `What is no DICOM date time is not guessed`(text: String) {
        #expect(Int64(dicomDateTime: text, zone: .gmt) == nil)
    }

    @Test(arguments: [
        ("2026-01-02", 1_767_312_000_000 as Int64), ("2026-01-02T03:04:05Z", 1_767_323_045_000),
        ("2026-01-02T03:04:05.678+01:00", 1_767_319_445_678), ("2026-01", 1_767_225_600_000),
    ])
    func `A FHIR time is read`(text: String, milliseconds: Int64) {
        #expect(Int64(fhirDateTime: text) == milliseconds)
    }

    @Test(arguments: ["", "yesterday", "2026-13-01T00:00:00Z", "20260102"])
    func `What is no FHIR time is not guessed`(text: String) {
        #expect(Int64(fhirDateTime: text) == nil)
    }
}
