// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Wire
import ZeroMQ

/// The worker's side of the wire, driven by the test itself.
final class ScriptedWorker {
    let socket: Socket
    let session = UUID().uuidString
    private var peer: [UInt8] = []
    /// What came and was not asked for yet.
    private var waiting: [(message: ToWorker, payload: [UInt8])] = []
    var credit: Int64
    /// What the worker's database holds; its state is new with each worker unless a test says otherwise.
    var receipts: ReceiptBook
    /// What the gateway said of its own in its last hello.
    private(set) var gatewayReceipts = ReceiptBook(state: "")

    private let name: String
    private let capabilities: Capabilities
    /// How many payload frames the last message had.
    private(set) var lastPieces = 0
    /// What the gateway said in its last hello that it can do.
    private(set) var gatewayCapabilities = Capabilities()
    private let doorkeeper: Doorkeeper?
    /// With the port that was chosen for `*`.
    var endpoint: String { socket.lastEndpoint }

    /// - Parameters:
    ///   - keys: with which CURVE is spoken; nil for none.
    ///   - gateway: the public key of the gateway that may connect.
    ///   - capabilities: none is a worker of the first release.
    init(
        _ endpoint: String, name: String = "scripted", credit: Int64 = 1 << 30, receipts: ReceiptBook? = nil,
        keys: CurveKeyPair? = nil, gateway: String = "", capabilities: Capabilities = Capabilities()
    ) throws {
        self.receipts = receipts ?? ReceiptBook(state: UUID().uuidString)
        let context = try Context()
        socket = try Socket(.router, in: context)
        doorkeeper = try keys.map { _ in try Doorkeeper(in: context) { $0 == gateway ? "gateway" : nil } }
        if let keys { try socket.serveCurve(keys) }
        try socket.bind(endpoint)
        self.credit = credit
        self.name = name
        self.capabilities = capabilities
    }

    deinit { doorkeeper?.stop() }

    func say(_ message: ToGateway, payload: String = "") throws {
        _ = try socket.send([Frame(peer)] + message.envelope.frames.map { Frame($0) } + [Frame(payload)])
    }

    func say(raw frames: [[UInt8]]) throws { _ = try socket.send([Frame(peer)] + frames.map { Frame($0) }) }

    /// Answers hellos, and gives the first message that `want` takes within `seconds`.
    func next(
        within seconds: Double = 60, _ want: (ToWorker) -> Bool
    ) throws -> (message: ToWorker, payload: [UInt8])? {
        let deadline = Date().addingTimeInterval(seconds)
        while true {
            if let index = waiting.firstIndex(where: { want($0.message) }) { return waiting.remove(at: index) }
            guard Date() < deadline else { return nil }
            try waitForInput(on: [socket], or: nil, timeoutMilliseconds: 20)
            try listen()
        }
    }

    /// Reads what is there.
    func listen() throws {
        while let frames = try socket.receive(), let payload = frames.last {
            peer = frames[0].bytes
            let texts = Envelope.textFrames(first: frames[1].bytes, count: frames.count - 1)
            let message = try ToWorker(Envelope(frames: frames[1...texts].map(\.bytes)))
            let pieces = frames[(1 + texts)...]
            if case .hello(_, _, _, let book) = message {
                gatewayReceipts = book
                gatewayCapabilities = Capabilities(payload.text)
                try say(
                    .hello(worker: name, session: session, version: "test", receipts: receipts),
                    payload: capabilities.text)
                try say(.credit(bytes: credit))
            } else {
                lastPieces = pieces.count
                waiting.append((message, pieces.flatMap(\.bytes)))
            }
        }
    }

    /// The next instance: sequence, id, bytes.
    func nextInstance(within seconds: Double = 60) throws -> (sequence: Int64, id: String, bytes: [UInt8])? {
        let found = try next(within: seconds) { if case .instance = $0 { true } else { false } }
        guard let found, case .instance(let sequence, let instance, _, _) = found.message else { return nil }
        return (sequence, instance.text, found.payload)
    }

    /// Acknowledges an instance as committed by the next transaction.
    func acknowledge(
        _ instance: (sequence: Int64, id: String, bytes: [UInt8]), study: String = "1.2.3",
        outcome: ToGateway.Outcome = .scored, reason: String = ""
    ) throws {
        guard let id = GatewayInstanceID(instance.id) else { return }
        try say(
            .ack(
                sequence: instance.sequence, instance: id, outcome: outcome, studyInstanceUID: study, reason: reason,
                receipt: nextReceipt()))
    }

    func nextReceipt() -> Receipt {
        receipts.serial += 1
        return Receipt(state: receipts.state, serial: receipts.serial)
    }
}

/// Waits until `condition` holds, at most a minute.
func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = Date().addingTimeInterval(60)
    while Date() < deadline {
        if try condition() { return true }
        usleep(10_000)
    }
    return try condition()
}

/// A directory and an endpoint of the test's own.
final class Place {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
        "gantry-\(UUID().uuidString.prefix(12))")
    var endpoint: String { "ipc://\(directory.path).ipc" }

    init() throws { try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(at: directory) }
}

/// A flag as a worker sends it.
func flagJSON(
    study: String, urgency: String, probability: Double, state: String = "final", version: String = "v1",
    instance: String = "i1"
) -> String {
    """
    {"flag":"f-\(study)","revision":1,"state":"\(state)","study":"\(study)","gateway_instance":"\(instance)",
    "model":{"name":"head-ct","title":"Head CT","package":"p","version":"\(version)","intended_use":"test"},
    "urgency":"\(urgency)","findings":[{"finding":"haemorrhage","title":"Haemorrhage","probability":\(probability),
    "threshold":0.5,"positive":\(probability >= 0.5),"urgency":"critical","evidence":[]}],
    "instances":{"received":1,"scored":1,"set_aside":0},"patient":{"name":"Doe^J","id":"1","birth_date":""},
    "description":"CT","modality":"CT","accession_number":"A","study_date":"20260101","arrived_at_ms":5,
    "last_instance_at_ms":6,"decided_at_ms":\(Int(Date().timeIntervalSince1970 * 1000))}
    """
}
