// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage
import Tensors

/// Which tensors a delta must and may hold.
public enum DeltaShape {
    /// Nil when the delta fits the base and what the package trains; else the first tensor that does not.
    ///
    /// A package that trains everything, or names what it trains, gets exactly that. Where it trains its head the hub
    /// cannot know which tensors that are (a parameters file does not say which module comes last) and takes any of
    /// the base's tensors, at least one.
    public static func mismatch(
        of delta: some TensorSource, base: some TensorSource, trains: TrainingDefaults.Trainable
    ) -> TensorMismatch? {
        for name in delta.names {
            guard let expected = base.shape(of: name) else { return .unexpected(name: name) }
            guard let found = delta.shape(of: name), found == expected else {
                return .shape(name: name, expected: expected, found: delta.shape(of: name) ?? [])
            }
        }
        let required: [String]
        let allowed: (String) -> Bool
        switch trains {
        case .all: (required, allowed) = (base.names, { _ in true })
        case .named(let entries):
            let trained: (String) -> Bool = { name in
                entries.contains { name == $0 || name.hasPrefix($0 + ".") }
            }
            (required, allowed) = (base.names.filter(trained), trained)
        case .head: (required, allowed) = (delta.names.isEmpty ? base.names : [], { _ in true })
        }
        let found = Set(delta.names)
        if let name = required.first(where: { !found.contains($0) }) { return .missing(name: name) }
        return delta.names.first { !allowed($0) }.map { .unexpected(name: $0) }
    }
}
