// SPDX-License-Identifier: GPL-3.0-or-later

/// Why an administrator's decision about a package or a version cannot be carried out. The text lists what there is.
public enum ModelDecisionError: Error, Equatable, CustomStringConvertible {
    /// No package has this name or hash.
    case unknownPackage(String, known: [String])
    /// Several packages have this name or begin of a hash.
    case ambiguous(String, candidates: [String])
    /// The package is in a state in which this cannot be done.
    case notPossible(String)
    case unknownVersion(String, known: [String])

    public var description: String {
        switch self {
        case .unknownPackage(let choice, let known):
            "no package is called “\(choice)” or has a hash that begins so; "
                + (known.isEmpty ? "there is none at this worker" : "there are \(known.joined(separator: ", "))")
        case .ambiguous(let choice, let candidates):
            "“\(choice)” is not one package but several; give the hash: \(candidates.joined(separator: ", "))"
        case .notPossible(let reason): reason
        case .unknownVersion(let choice, let known):
            "no version whose parameters are kept here has an id that begins with “\(choice)”; "
                + (known.isEmpty ? "there is none" : "there are \(known.joined(separator: ", "))")
        }
    }
}
