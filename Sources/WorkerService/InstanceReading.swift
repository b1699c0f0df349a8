// SPDX-License-Identifier: GPL-3.0-or-later
import Statements
import Triage
import WorkerStore

/// What became of a delivered instance, on its way to the study desk.
struct InstanceReading: Sendable {
    var arrival: Arrival
    /// Nil when not even the UIDs could be read.
    var identity: Identity?
    var outcome: Outcome

    struct Identity: Sendable {
        var study: StudyHeader
        var sopInstanceUID: String
        var expected = ExpectedCounts()
        /// Empty when the instance does not say.
        var sopClassUID = ""
        /// Empty when the instance does not say.
        var seriesInstanceUID = ""

        /// As what it counts towards completeness.
        var group: Completeness.Group { .init(series: seriesInstanceUID, expected: expected) }
    }

    enum Outcome: Sendable {
        case scored([Score])
        /// It was scored and committed before.
        case repeated
        case ignored(reason: String)
        /// Gantry made it: no part of what the study consists of.
        case ownResult
        /// A report or key object selection: no part of what the study consists of.
        case document(ReportDocument, DocumentKind)
        case setAside(name: String, reason: String)
    }

    /// What one version said.
    struct Score: Sendable {
        var model: LiveModel
        /// Frame by frame, one for each finding.
        var probabilities: [Float]
        /// Preprocessed frames for the example, in order.
        var kept: [KeptSlices]
    }

    /// Some model inputs, one after the other.
    struct KeptSlices: Sendable {
        var values: [Float]
        var count: Int
    }
}
