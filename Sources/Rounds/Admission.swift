// SPDX-License-Identifier: GPL-3.0-or-later
import Federation
import ModelPackage

/// Whether a delta may come, judged by its manifest before any of its bytes.
public enum Admission: Sendable, Equatable {
    /// Take the bytes.
    case take
    /// It is committed already; say so again, count nothing.
    case accepted
    case refuse(DeltaRefusal)

    /// Examples that a site can have trained on in one round.
    public static let weights = 1...1_000_000
    /// How values may be encoded.
    public static let codecs: Set<String> = ["f32"]

    /// - Parameters:
    ///   - round: the round that the manifest names; nil when the hub never had it.
    ///   - labels: training labels that the site itself said it has, in its last hello or when the round opened.
    ///   - largestBytes: a delta cannot be larger than a file with all parameters.
    public static func judge(
        _ manifest: DeltaManifest, from site: String, round: Round?, labels: Int, largestBytes: Int
    ) -> Admission {
        guard let round else { return .refuse(.unknownRound) }
        if let contribution = round.contributions[site] {
            return contribution.hash == manifest.hash ? .accepted : .refuse(.repeatedRound)
        }
        guard round.cohort.contains(site) else { return .refuse(.notInCohort) }
        // One word is final: who may try again finds out how far he can go.
        if round.outOfLine.contains(site) { return .refuse(.outOfLine) }
        guard round.state == .open else { return .refuse(.roundClosed) }
        guard manifest.base == round.base.id else { return .refuse(.wrongBase) }
        guard codecs.contains(manifest.codec) else { return .refuse(.unknownCodec) }
        guard weights.contains(manifest.examples), manifest.examples <= labels else { return .refuse(.badWeight) }
        // 8 bytes of length and a header of at least 2 bytes are the smallest file there is.
        guard (10...max(10, largestBytes)).contains(manifest.bytes) else { return .refuse(.wrongSize) }
        return .take
    }
}
