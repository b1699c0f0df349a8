// SPDX-License-Identifier: GPL-3.0-or-later
import Decoding
import Foundation
import Results
import Torch
import Triage
import WorkerStore

/// The segmentation of one study while its slices come back from the archive, one after the other. Belongs to one thread.
final class SegmentationWork {
    /// A slice that shows some findings.
    struct Slice {
        var sopInstanceUID: String
        /// The gateway's own id of the instance.
        var gatewayInstance: String
        var frame: Int
        /// The highest probability of a positive finding.
        var probability: Double
    }

    /// More slices than this tell a reader nothing new and cost a fetch each; the most probable ones are taken.
    private static let mostSlices = 64

    private let result: StudyResult
    private let model: LiveModel
    private let findings: [(index: Int, result: FindingResult)]
    private var slices: ArraySlice<Slice>
    private var draft: SegmentationDraft?
    private var leftOut = 0
    private var firstReason = ""

    /// - Parameters:
    ///   - leading: its strongest slice names the series that is segmented.
    ///   - scores: of every instance that the version has scored, in any order.
    /// - Returns: nil unless the model is one that segments, and the flag has something to segment.
    init?(
        _ result: StudyResult, _ model: LiveModel, leading: FindingResult,
        scores: [(sopInstanceUID: String, gatewayInstance: String, probabilities: [Float])]
    ) {
        let names = model.manifest.findings.map(\.name)
        let findings = result.flag.findings.compactMap { finding in
            finding.positive ? names.firstIndex(of: finding.finding).map { (index: $0, result: finding) } : nil
        }
        let series = Dictionary(
            result.images.map { ($0.sopInstanceUID, $0.seriesInstanceUID) }, uniquingKeysWith: { first, _ in first })
        guard model.manifest.masks != nil, !findings.isEmpty,
            let top = leading.evidence.max(by: { $0.probability < $1.probability }),
            let wanted = series[top.sopInstance]
        else { return nil }
        var slices: [Slice] = []
        for instance in scores where series[instance.sopInstanceUID] == wanted {
            for frame in 0..<instance.probabilities.count / max(names.count, 1) {
                let seen = findings.compactMap { finding in
                    let probability = Double(instance.probabilities[frame * names.count + finding.index])
                    return probability >= finding.result.threshold ? probability : nil
                }
                guard let most = seen.max() else { continue }
                slices.append(
                    Slice(
                        sopInstanceUID: instance.sopInstanceUID, gatewayInstance: instance.gatewayInstance,
                        frame: frame, probability: most))
            }
        }
        guard !slices.isEmpty else { return nil }
        // The same slices in the same order whatever the order of their arrival, so that a repeat gives the same object.
        slices.sort { ($1.probability, $0.sopInstanceUID, $0.frame) < ($0.probability, $1.sopInstanceUID, $1.frame) }
        self.result = result
        self.model = model
        self.findings = findings
        self.slices = slices.prefix(Self.mostSlices)
    }

    /// The slice that is needed now; nil: all were there.
    var wanted: Slice? { slices.first }

    /// The wanted slice cannot be had.
    func skip(_ reason: String) {
        slices = slices.dropFirst()
        leftOut += 1
        if firstReason.isEmpty { firstReason = reason }
    }

    /// Segments the wanted slice.
    ///
    /// - Throws: `DecoderError` and `TorchError` that say nothing about this slice; other errors leave the slice out.
    func take(_ file: Data, _ desk: SliceDesk, _ heatMaps: HeatMapDesk) throws {
        guard let slice = slices.first else { return }
        do {
            let (input, placement) = try desk.input(of: file, frame: slice.frame, for: model)
            let masks = try heatMaps.masks(model, input: input)
            let size = model.manifest.preprocessing
            let draft =
                if let draft { draft } else {
                    try SegmentationDraft(
                        result, original: file, sopInstanceUID: slice.sopInstanceUID, frame: slice.frame)
                }
            self.draft = draft
            for finding in findings {
                let mask = masks[finding.index]
                let onFrame = placement.onFrame(
                    mask.probabilities, rows: mask.rows, columns: mask.columns, height: size.height, width: size.width)
                try draft.add(
                    finding.result, original: file, sopInstanceUID: slice.sopInstanceUID, frame: slice.frame,
                    mask: onFrame.map { Double($0) >= finding.result.threshold }, rows: placement.rows,
                    columns: placement.columns)
            }
            slices = slices.dropFirst()
        } catch DecoderError.instance(let error) {
            skip("\(error)")
        } catch let error as ResultsError {
            skip("\(error)")
        }
    }

    /// The segmentation, if any slice could be segmented, and what is missing of it.
    func finish() -> (object: ResultObject?, failure: String?) {
        let missing = leftOut > 0 ? "segmentation-incomplete: \(leftOut) slices are left out, \(firstReason)" : nil
        guard let draft, !draft.isEmpty else { return (nil, missing ?? "segmentation-failed: its masks are empty") }
        do {
            return (try draft.finish(), missing)
        } catch {
            return (nil, "segmentation-failed: \(error)")
        }
    }
}
