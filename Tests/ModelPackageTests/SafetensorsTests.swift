// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Testing

@testable import Tensors

@Suite struct SafetensorsTests {
    static let map = TensorMap([
        "b.weight": Tensor(shape: [2, 3], values: [1, -2, 3.5, 0, -0.25, 1e-30]),
        "a.bias": Tensor(shape: [2], values: [.pi, -1]), "scalar": Tensor(shape: [], values: [7]),
        "empty": Tensor(shape: [0, 4], values: []), "quoted \"é\\\n": Tensor(shape: [1], values: [2]),
    ])

    static func file(_ json: String, data: [UInt8] = []) -> Data {
        withUnsafeBytes(of: UInt64(json.utf8.count).littleEndian) { Data($0) } + Data(json.utf8) + Data(data)
    }

    @Test func whatIsEncodedIsDecodedToTheSameValues() throws {
        #expect(try Safetensors.decode(Safetensors.encode(Self.map)) == Self.map)
    }

    @Test func theCanonicalFormIsExactlyThis() {
        let map = TensorMap(["b": Tensor(shape: [1], values: [1]), "a": Tensor(shape: [1, 2], values: [2, -1])])
        let json =
            #"{"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#
        let padded = json + String(repeating: " ", count: (8 - json.utf8.count % 8) % 8)
        let values: [UInt8] = [0, 0, 0, 0x40, 0, 0, 0x80, 0xBF, 0, 0, 0x80, 0x3F]
        #expect(Safetensors.encode(map) == Self.file(padded, data: values))
    }

    @Test func halfBfloatAndDoubleAreReadAsFloat() throws {
        let json =
            #"{"h":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[4,6]},"#
            + #""d":{"dtype":"F64","shape":[1],"data_offsets":[6,14]}}"#
        let map = try Safetensors.decode(
            Self.file(json, data: [0x00, 0x3C, 0x00, 0xC1, 0x40, 0x40, 0, 0, 0, 0, 0, 0, 0xE0, 0x3F]))
        #expect(map.tensors["h"]?.values == [1, -2.5])
        #expect(map.tensors["b"]?.values == [3])
        #expect(map.tensors["d"]?.values == [0.5])
    }

    @Test func metadataIsSkipped() throws {
        let json = #"{"__metadata__":{"format":"pt"},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#
        #expect(try Safetensors.decode(Self.file(json, data: [0, 0, 0, 0])).names == ["x"])
    }

    @Test(arguments: [
        (#"{"x":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#, 8, "type “I64”"),
        (#"{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "impossible shape"),
        (#"{"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#, 4, "impossible shape"),
        (#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4, "its shape needs 8 bytes"),
        (#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4, "its shape needs 4 bytes"),
        (#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#, 4, "its shape needs 4 bytes"),
        (#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "the tensor before it ends at 0"),
        (#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 8, "4 bytes follow"),
        (#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 4, "cut off"),
        (#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, 4, "1 data_offsets"),
        (#"{"x":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}"#, 4, "not valid"),
        (#"{"x":{"dtype":"F32","data_offsets":[0,4]}}"#, 4, "“shape” is missing"),
        (
            #"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"y":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
            4,
            "the tensor before it ends at 4"
        ), (#"[1]"#, 0, "does not begin with"), (#"{"x":"#, 0, "not valid"),
        (String(repeating: #"{"x":"#, count: 5000), 0, "not valid"),
    ])
    func aHostileHeaderIsRefusedByName(json: String, dataBytes: Int, expected: String) {
        do {
            _ = try Safetensors.decode(Self.file(json, data: [UInt8](repeating: 0, count: dataBytes)))
            Issue.record("accepted")
        } catch {
            #expect(error.description.contains(expected), "\(error)")
        }
    }

    @Test func everyTruncationIsRefused() {
        let whole = Safetensors.encode(Self.map)
        for count in 0..<whole.count {
            #expect(throws: SafetensorsError.self) { try Safetensors.decode(whole.prefix(count)) }
        }
    }

    @Test func anImpossibleHeaderLengthIsRefusedWithoutReadingIt() {
        let huge = Data(repeating: 0xFF, count: 16)
        #expect(throws: SafetensorsError.headerLength(bytes: .max, limit: SafetensorsHeader.lengthLimit)) {
            try Safetensors.decode(huge)
        }
    }

    @Test func randomBytesNeverCrashTheReader() {
        var random = SystemRandomNumberGenerator()
        let whole = Safetensors.encode(Self.map)
        for _ in 0..<2000 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            _ = try? Safetensors.decode(bytes)
        }
    }

    @Test func aFileIsReadInPiecesAsItIsReadWhole() throws {
        try withTemporaryDirectory { directory in
            let url = directory.appending(path: "x.safetensors")
            try Safetensors.write(Self.map, to: url)
            let file = try SafetensorsFile(url)
            #expect(file.names == Self.map.names)
            for (name, tensor) in Self.map.tensors {
                var values: [Float] = []
                try file.forEachPiece(of: name, valuesPerPiece: 4) { start, piece in
                    #expect(start == values.count)
                    values += piece
                }
                #expect(values == tensor.values)
                #expect(file.entry(name)?.shape == tensor.shape)
            }
            #expect(try file.values(of: "b.weight", in: 1..<3) == [-2, 3.5])
        }
    }

    @Test func aFileThatIsWrittenInPiecesHasTheCanonicalBytes() throws {
        try withTemporaryDirectory { directory in
            let url = directory.appending(path: "x.safetensors")
            let writer = try SafetensorsWriter(url, shapes: Self.map.tensors.mapValues(\.shape))
            #expect(writer.names == Self.map.names)
            for name in writer.names { try writer.append(Self.map.tensors[name]?.values ?? []) }
            #expect(!FileManager.default.fileExists(atPath: url.path))
            try writer.finish()
            #expect(try Data(contentsOf: url) == Safetensors.encode(Self.map))
        }
    }

    @Test func aWriterThatIsDroppedLeavesNothing() throws {
        try withTemporaryDirectory { directory in
            do {
                let writer = try SafetensorsWriter(directory.appending(path: "x"), shapes: ["a": [2]])
                try writer.append([1])
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).isEmpty)
        }
    }

    @Test func theFirstValueThatIsNoNumberIsNamed() throws {
        var map = Self.map
        #expect(map.firstNonFinite == nil)
        map.tensors["b.weight"]?.values[4] = .nan
        map.tensors["scalar"]?.values[0] = .infinity
        #expect(map.firstNonFinite == NonFiniteValue(name: "b.weight", index: 4))
        try withTemporaryDirectory { directory in
            let url = directory.appending(path: "x")
            try Safetensors.write(map, to: url)
            #expect(try SafetensorsFile(url).firstNonFinite() == NonFiniteValue(name: "b.weight", index: 4))
        }
    }

    @Test func aDeltaAddedToItsBaseGivesTheTrainedValues() throws {
        let base = TensorMap(["a": Tensor(shape: [3], values: [1, 2, 3])])
        let trained = TensorMap(["a": Tensor(shape: [3], values: [1.5, 2, -3])])
        var sum = base
        try sum.addScaled(trained.difference(minus: base), by: 1)
        #expect(sum == trained)
        #expect(try trained.difference(minus: base).tensors["a"]?.values == [0.5, 0, -6])
    }

    @Test func mapsThatDoNotFitAreNamed() {
        let base = TensorMap(["a": Tensor(shape: [1], values: [1]), "b": Tensor(shape: [1], values: [1])])
        var other = base
        other.tensors["b"] = Tensor(shape: [1, 1], values: [1])
        #expect(base.hasSameShapes(as: other) == .shape(name: "b", expected: [1], found: [1, 1]))
        other.tensors["b"] = nil
        #expect(base.hasSameShapes(as: other) == .missing(name: "b"))
        #expect(other.hasSameShapes(as: base) == .unexpected(name: "b"))
        #expect(throws: TensorMismatch.missing(name: "b")) { try other.difference(minus: base) }
    }
}
