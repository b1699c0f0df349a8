// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

extension Applicability {
    /// Why a model does not look at an instance with these header values; nil when it does.
    ///
    /// Modality and BodyPartExamined are compared without regard to case, since senders differ there.
    public func refusal(modality: String, bodyPart: String, sopClassUID: String) -> String? {
        if !modalities.isEmpty, !Self.contains(modalities, modality) {
            return "modality \(modality.isEmpty ? "(none)" : modality)"
        }
        if !bodyParts.isEmpty, !bodyPart.isEmpty, !Self.contains(bodyParts, bodyPart) { return "body part \(bodyPart)" }
        if !sopClasses.isEmpty, !sopClasses.contains(sopClassUID) { return "SOP class \(sopClassUID)" }
        return nil
    }

    private static func contains(_ list: [String], _ value: String) -> Bool {
        list.contains { $0.uppercased() == value.uppercased() }
    }
}
