// SPDX-License-Identifier: GPL-3.0-or-later

/// What a gateway says to its worker. Where a case speaks of a payload, it is the message's last frame.
public enum ToWorker: Sendable, Equatable {
    /// First message on a connection, again every few seconds: who speaks. `session` is new at each start of the
    /// gateway process and with each database. `receipts`: which flags and results it still knows; without a state the database
    /// cannot be used at present, and nothing is said about flags. Payload: `Capabilities`.
    case hello(gateway: String, session: String, version: String, receipts: ReceiptBook)
    /// One stored instance. Payload: the DICOM file as the gateway stored it, in one frame or in pieces.
    case instance(sequence: Int64, instance: GatewayInstanceID, receivedAtMilliseconds: Int64, callingAETitle: String)
    /// Answer to `fetch`. Payload: the DICOM file as in `instance`, empty when `found` is false.
    case fetched(request: Int64, instance: GatewayInstanceID, found: Bool)
    /// The host says that no more instances of this study will come.
    case studyComplete(studyInstanceUID: String)
    /// A radiologist's verdict. Payload: `Review` as JSON. Repeated until `reviewAck`.
    case review(id: String)
    /// The flag is committed in the gateway; the worker need not send it again. `held` is the revision that the gateway
    /// shows: when it is higher than the worker's own, the worker has lost it, numbers above it and sends again.
    /// `report`: SOPInstanceUID of the last report about this flag that the gateway was given, empty for none; the next
    /// one takes its place, also when the worker has lost it.
    case flagAck(flag: String, revision: Int, held: Int, report: String, receipt: Receipt)
    /// The object is committed in the gateway (`accepted`), or `reason` says why it will never be; not to be sent again
    /// unless the gateway's receipts no longer hold it.
    case resultAck(object: String, accepted: Bool, reason: String, receipt: Receipt)
    /// The gateway stops; what is not acknowledged will be sent again.
    case bye
    /// The gateway could not read a message. `name` as in `WireError.name`.
    case error(name: String, text: String)

    /// The messages whose payload may have more than one frame, with the number of their text frames.
    static let textFrames = [(verb: "instance", count: 5), (verb: "fetched", count: 4)]

    public var envelope: Envelope {
        switch self {
        case .hello(let gateway, let session, let version, let receipts):
            Envelope(
                verb: "hello",
                fields: [gateway, session, version, receipts.state, String(receipts.serial), receipts.voidsText])
        case .instance(let sequence, let instance, let receivedAt, let callingAETitle):
            Envelope(verb: "instance", fields: [String(sequence), instance.text, String(receivedAt), callingAETitle])
        case .fetched(let request, let instance, let found):
            Envelope(verb: "fetched", fields: [String(request), instance.text, found ? "found" : "gone"])
        case .studyComplete(let studyInstanceUID):
            Envelope(verb: "study-complete", fields: [studyInstanceUID])
        case .review(let id): Envelope(verb: "review", fields: [id])
        case .flagAck(let flag, let revision, let held, let report, let receipt):
            Envelope(
                verb: "flag-ack",
                fields: [flag, String(revision), String(held), report, receipt.state, String(receipt.serial)])
        case .resultAck(let object, let accepted, let reason, let receipt):
            Envelope(
                verb: "result-ack",
                fields: [object, accepted ? "accepted" : "refused", reason, receipt.state, String(receipt.serial)])
        case .bye: Envelope(verb: "bye", fields: [])
        case .error(let name, let text): Envelope(verb: "error", fields: [name, text])
        }
    }

    public init(_ envelope: Envelope) throws(WireError) {
        let reader = FieldReader(envelope)
        switch envelope.verb {
        case "hello":
            try reader.expect(6)
            self = .hello(
                gateway: reader[0], session: reader[1], version: reader[2], receipts: try reader.book(3))
        case "instance":
            try reader.expect(4)
            self = .instance(
                sequence: try reader.integer(0, "sequence"), instance: try reader.instance(1),
                receivedAtMilliseconds: try reader.integer(2, "receivedAtMilliseconds"), callingAETitle: reader[3])
        case "fetched":
            try reader.expect(3)
            guard reader[2] == "found" || reader[2] == "gone" else { throw .badValue(verb: "fetched", field: "found") }
            self = .fetched(
                request: try reader.integer(0, "request"), instance: try reader.instance(1), found: reader[2] == "found"
            )
        case "study-complete":
            try reader.expect(1)
            self = .studyComplete(studyInstanceUID: reader[0])
        case "review":
            try reader.expect(1)
            self = .review(id: reader[0])
        case "flag-ack":
            try reader.expect(6)
            self = .flagAck(
                flag: reader[0], revision: Int(truncatingIfNeeded: try reader.integer(1, "revision")),
                held: Int(truncatingIfNeeded: try reader.integer(2, "held")), report: reader[3],
                receipt: try reader.receipt(4))
        case "result-ack":
            try reader.expect(5)
            guard reader[1] == "accepted" || reader[1] == "refused" else {
                throw .badValue(verb: "result-ack", field: "accepted")
            }
            self = .resultAck(
                object: reader[0], accepted: reader[1] == "accepted", reason: reader[2], receipt: try reader.receipt(3))
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
