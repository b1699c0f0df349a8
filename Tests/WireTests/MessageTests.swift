// SPDX-License-Identifier: GPL-3.0-or-later
import Testing

@testable import Wire

@Suite struct MessageTests {
    static let instance = GatewayInstanceID("6e2c0ec2-5d99c8ca-c1c21cee-79a09605-68391d12")!

    static let book = ReceiptBook(state: "00ff", serial: 90, voids: [3...7, 50...61])
    static let receipt = Receipt(state: "00ff", serial: 62)

    static let toWorker: [ToWorker] = [
        .hello(gateway: "gw", session: "s1", version: "0.1.0", receipts: book),
        .instance(sequence: 7, instance: instance, receivedAtMilliseconds: 1_700_000_000_000, callingAETitle: "CT 1"),
        .fetched(request: 3, instance: instance, found: true), .fetched(request: 4, instance: instance, found: false),
        .studyComplete(studyInstanceUID: "1.2.3"), .review(id: "r1"),
        .flagAck(flag: "f", revision: 2, held: 3, report: "2.25.1", receipt: receipt), .bye,
        .resultAck(object: "2.25.1", accepted: true, reason: "", receipt: receipt),
        .resultAck(object: "2.25.1", accepted: false, reason: "no-archive", receipt: Receipt(state: "", serial: 0)),
        .error(name: "not-text", text: "a field that is not UTF-8"),
    ]

    static let toGateway: [ToGateway] = [
        .hello(worker: "w", session: "s", version: "1", receipts: ReceiptBook(state: "1")), .credit(bytes: 67_108_864),
        .ack(
            sequence: 9, instance: instance, outcome: .scored, studyInstanceUID: "1.2.3", reason: "", receipt: receipt),
        .ack(
            sequence: 9, instance: instance, outcome: .ignored, studyInstanceUID: "1.2.3", reason: "modality MR",
            receipt: receipt),
        .ack(
            sequence: 9, instance: instance, outcome: .setAside, studyInstanceUID: "", reason: "not DICOM",
            receipt: receipt),
        .fetch(request: 1, instance: instance), .flag(flag: "f", revision: 1, studyInstanceUID: "1.2.3"),
        .reviewAck(review: "r", accepted: true, reason: "", receipt: receipt),
        .reviewAck(review: "r", accepted: false, reason: "no study", receipt: receipt),
        .ack(
            sequence: 9, instance: instance, outcome: .ownResult, studyInstanceUID: "1.2.3", reason: "",
            receipt: receipt),
        .result(object: "2.25.1", kind: "report", flag: "f", studyInstanceUID: "1.2.3"),
        .modelStatus, .bye, .error(name: "n", text: "t"),
    ]

    @Test(arguments: toWorker) func `what a gateway says is read back as it was`(_ message: ToWorker) throws {
        let bytes = message.envelope.frames.map { Array($0.utf8) }
        #expect(try ToWorker(Envelope(frames: bytes)) == message)
    }

    @Test(arguments: toGateway) func `what a worker says is read back as it was`(_ message: ToGateway) throws {
        let bytes = message.envelope.frames.map { Array($0.utf8) }
        #expect(try ToGateway(Envelope(frames: bytes)) == message)
    }

    @Test func `the first frame names protocol and verb`() {
        #expect(ToGateway.credit(bytes: 5).envelope.frames == ["GANTRY1 credit", "5"])
    }

    @Test func `a message that cannot be read is refused with its reason`() {
        func error(_ frames: [[UInt8]]) -> WireError? {
            do throws(WireError) {
                _ = try ToGateway(Envelope(frames: frames))
                return nil
            } catch {
                return error
            }
        }
        func error(_ frames: [String]) -> WireError? { error(frames.map { Array($0.utf8) }) }
        #expect(error([[UInt8]]()) == .empty)
        #expect(error(["HTTP/1.1 200"]) == .otherProtocol("HTTP/1.1 200"))
        #expect(error(["GANTRY1"]) == .otherProtocol("GANTRY1"))
        #expect(error([""]) == .otherProtocol(""))
        #expect(error(["GANTRY1 "]) == .unknownVerb(""))
        #expect(error(["GANTRY1 dance"]) == .unknownVerb("dance"))
        #expect(error(["GANTRY1 credit"]) == .wrongFields(verb: "credit", expected: 1, found: 0))
        #expect(error(["GANTRY1 credit", "-1"]) == .badValue(verb: "credit", field: "bytes"))
        #expect(error(["GANTRY1 credit", "99999999999999999999"]) == .badValue(verb: "credit", field: "bytes"))
        let ack = ["GANTRY1 ack", "1", "i", "eaten", "", "", "s", "1"]
        #expect(error(ack) == .badValue(verb: "ack", field: "outcome"))
        #expect(error(["GANTRY1 fetch", "1", "a b"]) == .badValue(verb: "fetch", field: "instance"))
        #expect(error([Array("GANTRY1 bye".utf8), [0xff, 0xfe]]) == .notText)
        #expect(error([Array("GANTRY1 bye".utf8), [UInt8](repeating: 65, count: 4_097)]) == .fieldTooLong(4_097))
        #expect(error([[UInt8]](repeating: [65], count: 18)) == .tooManyFields(17))
    }

    @Test func `random frames never trap`() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let frames = (0..<Int.random(in: 0...6, using: &generator)).map { index -> [UInt8] in
                let verbs = [
                    "GANTRY1 ack", "GANTRY1 flag", "GANTRY1 fetch", "GANTRY1 credit", "GANTRY1", "G ANTRY1 ack",
                ]
                if index == 0, Bool.random(using: &generator) {
                    return Array(verbs.randomElement(using: &generator)!.utf8)
                }
                return (0..<Int.random(in: 0...12, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
            }
            _ = try? ToGateway(Envelope(frames: frames))
            _ = try? ToWorker(Envelope(frames: frames))
        }
    }

    @Test(arguments: ["", "with space", "tab\t", "ä", String(repeating: "x", count: 129)])
    func `an instance id that could not be a frame's field is refused`(_ text: String) {
        #expect(GatewayInstanceID(text) == nil)
    }

    @Test func `the bytes of an instance may come in pieces, and a message of the first release is read as it was`() {
        func texts(_ frames: [String]) -> Int {
            Envelope.textFrames(first: Array(frames[0].utf8), count: frames.count)
        }
        #expect(texts(["GANTRY1 instance", "1", "id", "2", "CT", "piece", "piece", "piece"]) == 5)
        #expect(texts(["GANTRY1 instance", "1", "id", "2", "CT", "all of it"]) == 5)
        #expect(texts(["GANTRY1 fetched", "1", "id", "found", "piece", "piece"]) == 4)
        // Too few: whatever is last is the payload, and the fields are found to be wrong.
        #expect(texts(["GANTRY1 instance", "1", "id"]) == 2)
        #expect(texts(["GANTRY1 hello", "gw", "s1", "0.1.0", "00ff", "90", "", ""]) == 7)
        #expect(texts(["x"]) == 0)
    }

    @Test func `what a peer can do is read as it was said, and anything else passed over`() {
        #expect(Capabilities(Capabilities.current.text) == .current)
        #expect(Capabilities("") == Capabilities())
        #expect(Capabilities("wings 2\npieces 65536\n") == Capabilities(pieceBytes: 65536))
        for text in ["pieces", "pieces 1", "pieces -4096", "pieces 99999999999999999999", "pieces 4096 4096"] {
            #expect(Capabilities(text).pieceBytes == nil)
        }
    }
}
