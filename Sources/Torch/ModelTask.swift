// SPDX-License-Identifier: GPL-3.0-or-later
import ModelPackage

/// Tasks for which `gantry model new` knows a complete manifest.
public enum ModelTask: String, CaseIterable, Sendable {
    case headCTHaemorrhage = "head-ct-haemorrhage"
    case chestPneumonia = "chest-pneumonia"

    public var manifest: Manifest {
        switch self {
        case .headCTHaemorrhage: Self.headCT
        case .chestPneumonia: Self.chest
        }
    }

    /// What `SmallCNN` learns well with from some twenty studies a site.
    public static let training = TrainingDefaults(learningRate: 2e-3, epochs: 3, batchStudies: 2)

    /// A radiograph is one slice where a CT has dozens: more rounds through the same studies cost nothing.
    private static var radiographTraining: TrainingDefaults {
        var defaults = training
        defaults.epochs = 6
        return defaults
    }

    private static var headCT: Manifest {
        Manifest(
            name: "head-ct-haemorrhage", title: "Intracranial haemorrhage on head CT",
            intendedUse:
                "Sorts head CT studies so that those with a suspected intracranial haemorrhage are read first; not a "
                + "diagnosis.",
            takes: Applicability(
                modalities: ["CT"], bodyParts: ["HEAD", "BRAIN", "SKULL"],
                // CT Image Storage and Enhanced CT Image Storage (DICOM PS3.4 section B.5).
                sopClasses: ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"]),
            preprocessing: Preprocessing(
                height: 128, width: 128,
                // Brain; fresh blood, from brain at 0 to 1; what is denser than blood, so calcification and bone.
                channels: [
                    .window(center: 40, width: 80), .window(center: 65, width: 50), .window(center: 130, width: 80),
                ]),
            findings: [
                Finding(
                    name: "intracranial-haemorrhage", title: "Intracranial haemorrhage",
                    code: .init(scheme: "SCT", value: "1386000", meaning: "Intracranial hemorrhage"), threshold: 0.5,
                    urgency: .critical)
            ],
            sliceRule: .maximum, training: Self.training, guardRule: GuardRule(),
            explanation: SmallCNN.explanation)
    }

    private static var chest: Manifest {
        Manifest(
            name: "chest-pneumonia", title: "Pneumonia on chest radiographs",
            intendedUse:
                "Sorts chest radiographs so that those with a suspected pneumonia are read first; not a diagnosis.",
            takes: Applicability(
                modalities: ["DX", "CR"], bodyParts: ["CHEST"],
                // CR and Digital X-Ray Image Storage for presentation (DICOM PS3.4 section B.5).
                sopClasses: ["1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1"]),
            preprocessing: Preprocessing(height: 128, width: 128, channels: [.percentiles]),
            findings: [
                Finding(
                    name: "pneumonia", title: "Pneumonia",
                    code: .init(scheme: "SCT", value: "233604007", meaning: "Pneumonia"), threshold: 0.5,
                    urgency: .urgent)
            ],
            sliceRule: .maximum, training: radiographTraining, guardRule: GuardRule(),
            explanation: SmallCNN.explanation)
    }
}
