// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import Foundation
import ModelPackage
import Rounds
import Tensors

/// What is checked once all bytes of a delta are here. Reads files only, so it may run on any thread.
struct DeltaInspection: Sendable {
    let file: URL
    let manifest: DeltaManifest
    /// The parameters of the round's base version.
    let base: URL
    let trains: TrainingDefaults.Trainable
    let bounds: BoundScreen
    let steps: StepBound

    /// What is wrong with a delta.
    enum Fault: Sendable, Equatable {
        case refused(DeltaRefusal)
        case outOfLine(OutOfLine)
    }

    /// A delta's header may be this much longer than the base's, for writers that are less terse.
    static let headerSlackBytes = 64 << 10

    /// A delta cannot be larger than this for a base of this size.
    static func largestBytes(baseBytes: Int) -> Int { baseBytes + headerSlackBytes }

    /// Nil when the delta may be aggregated, else what is wrong with it.
    ///
    /// - Throws: when the hub's own files cannot be read, which is not the site's fault.
    func fault() throws -> Fault? {
        guard try Hash(ofFile: file) == manifest.hash else { return .refused(.wrongHash) }
        let base = try SafetensorsFile(base)
        // Before the header is parsed: parsing takes memory in proportion to its length.
        let handle = try FileHandle(forReadingFrom: file)
        defer { try? handle.close() }
        guard let length = try? SafetensorsHeader.jsonLength(prefix: handle.read(upToCount: 8) ?? Data()),
            length <= base.header.byteCount + Self.headerSlackBytes
        else { return .refused(.malformed) }
        let delta: SafetensorsFile
        do {
            delta = try SafetensorsFile(file)
        } catch .file(let path, let reason) {
            throw SafetensorsError.file(path: path, reason: reason)
        } catch {
            return .refused(.malformed)
        }
        guard delta.header.entries.allSatisfy({ $0.dtype == .f32 }) else { return .refused(.malformed) }
        if DeltaShape.mismatch(of: delta, base: base, trains: trains) != nil { return .refused(.wrongShape) }
        if try delta.firstNonFinite() != nil { return .refused(.notFinite) }
        return try bounds.judge(UpdateMeasure(of: delta, base: base), steps: steps).map(Fault.outOfLine)
    }
}
