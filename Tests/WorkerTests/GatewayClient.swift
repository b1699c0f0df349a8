// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Testing
import Triage
import Wire
import ZeroMQ

/// A gateway's side of the hand-over, spoken over a real socket. Belongs to one thread.
final class GatewayClient {
    struct TimedOut: Error {}

    let name: String
    private let socket: Socket
    /// What the last hello said; nil before the first.
    private var session: String?
    private var greetedAt = Date.distantPast
    private var sequence: Int64 = 0
    var receipts = ReceiptBook(state: "gateway-state", serial: 1)
    /// Everything that came, in order.
    private(set) var received: [ToGateway] = []
    private(set) var flags: [Flag] = []
    private(set) var status: [String: Any] = [:]
    private(set) var results: [(object: String, kind: String, file: Data)] = []
    private(set) var fetches = 0
    /// The last report that the gateway says it has, by flag.
    var reportOf: [String: String] = [:]
    /// How many of the next fetches are answered with “gone”.
    var lost = 0
    private var archive: [String: Data] = [:]

    /// - Parameters:
    ///   - keys: with which CURVE is spoken; nil for none.
    ///   - worker: the worker's public key.
    init(_ endpoint: String, name: String = "gateway", keys: CurveKeyPair? = nil, worker: String = "") throws {
        self.name = name
        socket = try Socket(.dealer, in: Context())
        if let keys { try socket.useCurve(serverKey: worker, keys: keys) }
        try socket.connect(endpoint)
    }

    func hello(session: String = "s1") throws {
        self.session = session
        greetedAt = Date()
        try send(.hello(gateway: name, session: session, version: "1", receipts: receipts))
    }

    /// Sends an instance; gives its sequence number.
    @discardableResult
    func instance(_ bytes: Data, id: String? = nil) throws -> Int64 {
        sequence += 1
        let instance = try #require(GatewayInstanceID(id ?? "instance-\(sequence)"))
        archive[instance.text] = bytes
        try send(
            .instance(
                sequence: sequence, instance: instance,
                receivedAtMilliseconds: Int64(Date().timeIntervalSince1970 * 1000), callingAETitle: "TEST"), bytes)
        return sequence
    }

    func review(_ id: String, flag: Flag, present: Bool) throws {
        let positive = flag.findings[0].positive
        let json =
            #"{"review":"\#(id)","study":"\#(flag.study)","finding":"\#(flag.findings[0].finding)","#
            + #""verdict":"\#(positive == present ? "agree" : "disagree")","reviewer":"dr","role":"radiologist","#
            + #""at_ms":1,"model_version":"\#(flag.model.version.hex)","positive":\#(positive)}"#
        try send(.review(id: id), Data(json.utf8))
    }

    func send(_ message: ToWorker, _ payload: Data = Data()) throws {
        try send(frames: message.envelope.frames.map { Data($0.utf8) } + [payload])
    }

    func send(frames: [Data]) throws {
        let deadline = Date(timeIntervalSinceNow: 60)
        while try !socket.send(frames.map { Frame(Array($0)) }) {
            guard Date() < deadline else { throw TimedOut() }
            usleep(1000)
        }
    }

    func acknowledge(result object: String) throws {
        receipts.serial += 1
        try send(
            .resultAck(
                object: object, accepted: true, reason: "",
                receipt: Receipt(state: receipts.state, serial: receipts.serial)))
    }

    /// Receives until `condition` holds; acknowledges flags unless told not to.
    func wait(seconds: Double = 180, acknowledging: Bool = true, until condition: () throws -> Bool) throws {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while try !condition() {
            guard Date() < deadline else { throw TimedOut() }
            // A worker forgets a gateway that is silent for 15 s, which it takes to make objects on a busy machine.
            if let session, Date().timeIntervalSince(greetedAt) > 5 { try hello(session: session) }
            try waitForInput(on: [socket], or: nil, timeoutMilliseconds: 50)
            while let frames = try socket.receive() { try take(frames, acknowledging) }
        }
    }

    private func take(_ frames: [Frame], _ acknowledging: Bool) throws {
        let message = try ToGateway(Envelope(frames: frames.dropLast().map(\.bytes)))
        received.append(message)
        let payload = Data(frames.last?.bytes ?? [])
        switch message {
        case .flag(let flag, let revision, _):
            flags.append(try JSONDecoder().decode(Flag.self, from: payload))
            guard acknowledging else { return }
            receipts.serial += 1
            try send(
                .flagAck(
                    flag: flag, revision: revision, held: revision, report: reportOf[flag] ?? "",
                    receipt: Receipt(state: receipts.state, serial: receipts.serial)))
        case .result(let object, let kind, _, _): results.append((object, kind, payload))
        case .fetch(let request, let instance):
            fetches += 1
            let file = lost > 0 ? nil : archive[instance.text]
            lost = max(0, lost - 1)
            try send(.fetched(request: request, instance: instance, found: file != nil), file ?? Data())
        case .modelStatus: status = (try JSONSerialization.jsonObject(with: payload) as? [String: Any]) ?? [:]
        default: break
        }
    }

    /// Outcome and reason of an acknowledged instance.
    func ack(_ sequence: Int64) -> (outcome: ToGateway.Outcome, study: String, reason: String)? {
        for case .ack(sequence, _, let outcome, let study, let reason, _) in received {
            return (outcome, study, reason)
        }
        return nil
    }

    func finalFlag(_ study: String) -> Flag? { flags.last { $0.study == study && $0.state == .final } }

    var lastCredit: Int64? {
        for case .credit(let bytes) in received.reversed() { return bytes }
        return nil
    }
}
