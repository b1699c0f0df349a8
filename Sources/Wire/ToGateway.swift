// SPDX-License-Identifier: GPL-3.0-or-later

/// What a worker says to a gateway. Where a case speaks of a payload, it is the message's last frame.
public enum ToGateway: Sendable, Equatable {
    /// Answer to the gateway's hello. `session` is new at each start of the worker process and with each database: what
    /// was sent to an older session and not acknowledged has to be sent again. `receipts`: which instances and reviews
    /// it still knows. Payload: `Capabilities`.
    case hello(worker: String, session: String, version: String, receipts: ReceiptBook)
    /// The gateway may have at most this many payload bytes unacknowledged at this worker. Absolute, not added up,
    /// so that a lost or repeated message does no harm. 0: send nothing (for example while no model is live).
    case credit(bytes: Int64)
    /// What the worker learned from an instance is committed; the gateway need not send it again. The instance is
    /// named beside its number, because a gateway that lost its last commits gives numbers out again.
    case ack(
        sequence: Int64, instance: GatewayInstanceID, outcome: Outcome, studyInstanceUID: String, reason: String,
        receipt: Receipt)
    /// The worker wants an instance again.
    case fetch(request: Int64, instance: GatewayInstanceID)
    /// A study's finding by one model version. Payload: `Flag` as JSON. A higher revision replaces a lower one.
    /// Repeated until `flagAck`.
    case flag(flag: String, revision: Int, studyInstanceUID: String)
    /// An object about a study, to be stored in the gateway's archive. Payload: a DICOM file. `object` is its
    /// SOPInstanceUID, the same whenever it is made again; `flag` names what it tells. Repeated until `resultAck`.
    case result(object: String, kind: String, flag: String, studyInstanceUID: String)
    /// The verdict is committed as a label (`accepted`), or `reason` says why not; not to be sent again. Where the
    /// reason begins with `unknownStudy`, the worker has no such study: it takes the review after the study.
    case reviewAck(review: String, accepted: Bool, reason: String, receipt: Receipt)
    /// Which model versions are live, training and guard state. Payload: JSON, shown as it is in the status.
    case modelStatus
    case bye
    case error(name: String, text: String)

    /// How the reason of a refused review begins when the worker has lost the study or never had it.
    public static let unknownStudy = "unknown-study"

    /// What became of an instance.
    public enum Outcome: String, Sendable, CaseIterable {
        /// At least one live model scored it.
        case scored
        /// No live model takes this kind of instance; `reason` says which kind it is.
        case ignored
        /// It should have been scored and could not be; `reason` names the fault.
        case setAside = "set-aside"
        /// Gantry made it: it is neither scored nor counted.
        case ownResult = "own-result"
        /// A report or key object selection that says something about a finding; it is neither scored nor counted.
        case labelled
        /// A report or key object selection that says nothing about a finding; `reason` says why. Else as `labelled`.
        case unlabelled
    }

    public var envelope: Envelope {
        switch self {
        case .hello(let worker, let session, let version, let receipts):
            Envelope(
                verb: "hello",
                fields: [worker, session, version, receipts.state, String(receipts.serial), receipts.voidsText])
        case .credit(let bytes): Envelope(verb: "credit", fields: [String(bytes)])
        case .ack(let sequence, let instance, let outcome, let studyInstanceUID, let reason, let receipt):
            Envelope(
                verb: "ack",
                fields: [
                    String(sequence), instance.text, outcome.rawValue, studyInstanceUID, reason, receipt.state,
                    String(receipt.serial),
                ])
        case .fetch(let request, let instance): Envelope(verb: "fetch", fields: [String(request), instance.text])
        case .flag(let flag, let revision, let studyInstanceUID):
            Envelope(verb: "flag", fields: [flag, String(revision), studyInstanceUID])
        case .result(let object, let kind, let flag, let studyInstanceUID):
            Envelope(verb: "result", fields: [object, kind, flag, studyInstanceUID])
        case .reviewAck(let review, let accepted, let reason, let receipt):
            Envelope(
                verb: "review-ack",
                fields: [review, accepted ? "accepted" : "refused", reason, receipt.state, String(receipt.serial)])
        case .modelStatus: Envelope(verb: "model-status", fields: [])
        case .bye: Envelope(verb: "bye", fields: [])
        case .error(let name, let text): Envelope(verb: "error", fields: [name, text])
        }
    }

    public init(_ envelope: Envelope) throws(WireError) {
        let reader = FieldReader(envelope)
        switch envelope.verb {
        case "hello":
            try reader.expect(6)
            self = .hello(worker: reader[0], session: reader[1], version: reader[2], receipts: try reader.book(3))
        case "credit":
            try reader.expect(1)
            self = .credit(bytes: try reader.integer(0, "bytes"))
        case "ack":
            try reader.expect(7)
            guard let outcome = Outcome(rawValue: reader[2]) else { throw .badValue(verb: "ack", field: "outcome") }
            self = .ack(
                sequence: try reader.integer(0, "sequence"), instance: try reader.instance(1), outcome: outcome,
                studyInstanceUID: reader[3], reason: reader[4], receipt: try reader.receipt(5))
        case "fetch":
            try reader.expect(2)
            self = .fetch(request: try reader.integer(0, "request"), instance: try reader.instance(1))
        case "flag":
            try reader.expect(3)
            self = .flag(
                flag: reader[0], revision: Int(truncatingIfNeeded: try reader.integer(1, "revision")),
                studyInstanceUID: reader[2])
        case "result":
            try reader.expect(4)
            guard GatewayInstanceID(reader[0]) != nil else { throw .badValue(verb: "result", field: "object") }
            self = .result(object: reader[0], kind: reader[1], flag: reader[2], studyInstanceUID: reader[3])
        case "review-ack":
            try reader.expect(5)
            guard reader[1] == "accepted" || reader[1] == "refused" else {
                throw .badValue(verb: "review-ack", field: "accepted")
            }
            self = .reviewAck(
                review: reader[0], accepted: reader[1] == "accepted", reason: reader[2], receipt: try reader.receipt(3))
        case "model-status":
            try reader.expect(0)
            self = .modelStatus
        case "bye":
            try reader.expect(0)
            self = .bye
        case "error":
            try reader.expect(2)
            self = .error(name: reader[0], text: reader[1])
        default: throw .unknownVerb(envelope.verb)
        }
    }
}
