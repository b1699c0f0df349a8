// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// `configs/gantry.json` of a model package: what the model looks at, what it says, how it learns.
///
/// Keys are snake_case in the file. Unknown keys are ignored so that newer packages load; a missing key that has no
/// default is an error that names it.
public struct Manifest: Codable, Sendable, Equatable {
    /// Version of this file's format; 1.
    public var gantry: Int
    /// Short name for commands, logs and file names: lower-case letters, digits and `-`.
    public var name: String
    /// Name for people.
    public var title: String
    /// What the package is for, in one sentence that is shown with every flag.
    public var intendedUse: String
    public var takes: Applicability
    public var preprocessing: Preprocessing
    /// One for each output of the model, in the order of the outputs.
    public var findings: [Finding]
    /// What the model's outputs are.
    public var output: Output
    public var sliceRule: SliceRule
    public var training: TrainingDefaults
    public var guardRule: GuardRule

    public enum Output: String, Codable, Sendable { case logits, probabilities }

    enum CodingKeys: String, CodingKey {
        case gantry, name, title, takes, preprocessing, findings, output, training
        case intendedUse = "intended_use"
        case sliceRule = "slice_rule"
        case guardRule = "guard"
    }

    public init(
        name: String, title: String, intendedUse: String, takes: Applicability, preprocessing: Preprocessing,
        findings: [Finding], output: Output = .logits, sliceRule: SliceRule, training: TrainingDefaults,
        guardRule: GuardRule
    ) {
        gantry = 1
        self.name = name
        self.title = title
        self.intendedUse = intendedUse
        self.takes = takes
        self.preprocessing = preprocessing
        self.findings = findings
        self.output = output
        self.sliceRule = sliceRule
        self.training = training
        self.guardRule = guardRule
    }
}

/// Which instances a model looks at. An empty list allows everything.
public struct Applicability: Codable, Sendable, Equatable {
    /// Modality (0008,0060), for example `CT`.
    public var modalities: [String]
    /// BodyPartExamined (0018,0015), for example `HEAD`. An instance without the element is taken.
    public var bodyParts: [String]
    /// SOPClassUID (0008,0016).
    public var sopClasses: [String]

    enum CodingKeys: String, CodingKey {
        case modalities
        case bodyParts = "body_parts"
        case sopClasses = "sop_classes"
    }

    public init(modalities: [String] = [], bodyParts: [String] = [], sopClasses: [String] = []) {
        self.modalities = modalities
        self.bodyParts = bodyParts
        self.sopClasses = sopClasses
    }
}

/// How one frame becomes one model input of shape channels × height × width, values in 0…1 before `normalise`.
public struct Preprocessing: Codable, Sendable, Equatable {
    public var height: Int
    public var width: Int
    /// One input channel for each entry, in order.
    public var channels: [Channel]
    public var fit: Fit
    /// In-plane pixel spacing in mm to resample to before fitting; nil keeps the frame's own.
    public var pixelSpacingMillimetres: Double?
    /// `radiological` flips rows and columns by ImageOrientationPatient so that the patient's right is on the left and
    /// anterior is up (for axial images); `asStored` leaves the frame as it is.
    public var orientation: Orientation
    /// Mean and standard deviation for each channel, applied last; nil: values stay in 0…1.
    public var normalise: Normalisation?

    public enum Fit: String, Codable, Sendable {
        /// Keeps the aspect ratio and pads with 0.
        case letterbox
        /// Fills height × width.
        case stretch
    }

    public enum Orientation: String, Codable, Sendable {
        case asStored = "as_stored"
        case radiological
    }

    /// How modality values become 0…1.
    public enum Channel: Codable, Sendable, Equatable {
        /// Linear window on rescaled values (HU for CT): centre − width/2 → 0, centre + width/2 → 1, clipped.
        case window(center: Double, width: Double)
        /// The window that the instance itself carries (0028,1050/1051); its own minimum and maximum if it has none.
        case ownWindow
        /// From the 1st to the 99th percentile of the frame.
        case percentiles
    }

    public struct Normalisation: Codable, Sendable, Equatable {
        public var mean: [Float]
        public var deviation: [Float]

        public init(mean: [Float], deviation: [Float]) {
            self.mean = mean
            self.deviation = deviation
        }
    }

    enum CodingKeys: String, CodingKey {
        case height, width, channels, fit, orientation, normalise
        case pixelSpacingMillimetres = "pixel_spacing_mm"
    }

    public init(
        height: Int, width: Int, channels: [Channel], fit: Fit = .letterbox, pixelSpacingMillimetres: Double? = nil,
        orientation: Orientation = .asStored, normalise: Normalisation? = nil
    ) {
        self.height = height
        self.width = width
        self.channels = channels
        self.fit = fit
        self.pixelSpacingMillimetres = pixelSpacingMillimetres
        self.orientation = orientation
        self.normalise = normalise
    }

    /// Float values in one input.
    public var valuesPerInput: Int { channels.count * height * width }
}

/// One thing the model looks for.
public struct Finding: Codable, Sendable, Equatable {
    /// Key in labels, flags and REST, for example `intracranial-haemorrhage`.
    public var name: String
    public var title: String
    /// The finding as a code, for example SNOMED CT 1386000.
    public var code: Code?
    /// A study-level probability at or above it raises the flag.
    public var threshold: Double
    public var urgency: Urgency

    public struct Code: Codable, Sendable, Equatable {
        public var scheme: String
        public var value: String
        public var meaning: String

        public init(scheme: String, value: String, meaning: String) {
            self.scheme = scheme
            self.value = value
            self.meaning = meaning
        }
    }

    public init(name: String, title: String, code: Code?, threshold: Double, urgency: Urgency) {
        self.name = name
        self.title = title
        self.code = code
        self.threshold = threshold
        self.urgency = urgency
    }
}

/// How soon somebody should look at a study in which the finding is positive. The order is the worklist's order.
public enum Urgency: String, Codable, Sendable, CaseIterable, Comparable {
    case none, routine, urgent, critical

    public static func < (left: Urgency, right: Urgency) -> Bool {
        left.rank < right.rank
    }

    /// 0 for none to 3 for critical.
    public var rank: Int {
        switch self {
        case .none: 0
        case .routine: 1
        case .urgent: 2
        case .critical: 3
        }
    }
}

/// How the probabilities of slices become the probability of the study, for each finding alone.
public enum SliceRule: Codable, Sendable, Equatable {
    /// The highest slice.
    case maximum
    /// The mean of the `count` highest slices (of all slices when there are fewer).
    case meanOfTop(count: Int)
    /// 1 − Π(1 − pᵢ): slices are independent chances to see it.
    case noisyOr
}

/// What a round trains with unless the hub says otherwise.
public struct TrainingDefaults: Codable, Sendable, Equatable {
    public var parameters: Trainable
    public var loss: Loss
    public var optimiser: Optimiser
    public var learningRate: Double
    public var weightDecay: Double
    /// SGD only.
    public var momentum: Double
    public var epochs: Int
    /// Studies in a batch.
    public var batchStudies: Int

    public enum Trainable: Codable, Sendable, Equatable {
        case all
        /// The last module that has parameters.
        case head
        /// Parameters whose name is in the list or begins with an entry and a dot.
        case named([String])
    }

    public enum Loss: String, Codable, Sendable {
        /// Binary cross-entropy for each finding, weighted so that both classes count the same.
        case binaryCrossEntropy = "bce"
        /// Softmax cross-entropy over the outputs: exactly one finding is present in a study.
        case crossEntropy = "cross_entropy"
    }

    public enum Optimiser: String, Codable, Sendable { case sgd, adam }

    enum CodingKeys: String, CodingKey {
        case parameters, loss, optimiser, momentum, epochs
        case learningRate = "learning_rate"
        case weightDecay = "weight_decay"
        case batchStudies = "batch_studies"
    }

    public init(
        parameters: Trainable = .all, loss: Loss = .binaryCrossEntropy, optimiser: Optimiser = .adam,
        learningRate: Double = 1e-3, weightDecay: Double = 1e-4, momentum: Double = 0.9, epochs: Int = 1,
        batchStudies: Int = 4
    ) {
        self.parameters = parameters
        self.loss = loss
        self.optimiser = optimiser
        self.learningRate = learningRate
        self.weightDecay = weightDecay
        self.momentum = momentum
        self.epochs = epochs
        self.batchStudies = batchStudies
    }
}

/// When a new global model may replace the live one at a site.
public struct GuardRule: Codable, Sendable, Equatable {
    /// How much worse the held-out AUC (mean over findings) may be.
    public var margin: Double
    /// Held-out labels of each class without which a new model is not judged and does not go live.
    public var minimumLabelsPerClass: Int

    enum CodingKeys: String, CodingKey {
        case margin
        case minimumLabelsPerClass = "minimum_labels_per_class"
    }

    public init(margin: Double = 0.02, minimumLabelsPerClass: Int = 2) {
        self.margin = margin
        self.minimumLabelsPerClass = minimumLabelsPerClass
    }
}
