// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Triage

/// What one model version says about one study, with everything that the objects about it need.
public struct StudyResult: Sendable {
    public var flag: Flag
    /// The model's manifest: how a frame becomes a picture.
    public var manifest: Manifest
    /// The instances that the model has looked at.
    public var images: [InstanceReference]
    /// The report that this one takes the place of.
    public var predecessor: InstanceReference?
    /// Of this program, for the equipment module.
    public var programVersion: String

    public init(
        flag: Flag, manifest: Manifest, images: [InstanceReference], predecessor: InstanceReference?,
        programVersion: String
    ) {
        self.flag = flag
        self.manifest = manifest
        self.images = images.sorted { $0.sopInstanceUID < $1.sopInstanceUID }
        self.predecessor = predecessor
        self.programVersion = programVersion
    }

    /// Where an object belongs: derived from the study, the model version and the instances that it looked at, so that
    /// making it again, also by another worker or after a loss of its state, gives the same object. A late instance gives
    /// another one in the same series.
    public func reference(_ kind: ResultKind) -> InstanceReference {
        let origin = [flag.study, flag.model.version.hex, kind.rawValue]
        let instances = images.map(\.sopInstanceUID)
        return InstanceReference(
            sopClassUID: kind.sopClassUID, sopInstanceUID: Self.uid(["instance"] + origin + instances),
            seriesInstanceUID: Self.uid(["series"] + origin))
    }

    /// The finding that matters most: positive before negative, then by urgency, then by probability.
    public static func leadingFinding(of flag: Flag) -> FindingResult? {
        flag.findings.max { left, right in
            (left.positive ? 1 : 0, left.urgency.rank, left.probability)
                < (right.positive ? 1 : 0, right.urgency.rank, right.probability)
        }
    }

    /// A UID that only these texts give (PS3.5 B.2: a UUID as decimal number, by RFC 9562 version 8 from SHA-256).
    static func uid(_ texts: [String]) -> String {
        let hash = Hash(of: Data((["gantry-result"] + texts).joined(separator: "\n").utf8)).hex
        var bits = UInt128(hash.prefix(32), radix: 16) ?? 0
        bits = bits & ~(0xF << 76) | 8 << 76
        bits = bits & ~(0x3 << 62) | 2 << 62
        return "2.25.\(bits)"
    }
}

extension ResultKind {
    var sopClassUID: String {
        switch self {
        case .report: "1.2.840.10008.5.1.4.1.1.88.33"
        case .keyImage: "1.2.840.10008.5.1.4.1.1.7"
        case .keyObjects: "1.2.840.10008.5.1.4.1.1.88.59"
        case .segmentation: "1.2.840.10008.5.1.4.1.1.66.4"
        }
    }
}
