// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Tensors

/// Writes an `ExampleFile` slice by slice, as a study arrives.
///
/// After every `append` the file is complete; the header has a fixed size and is written last. Nothing is synced: an
/// example that a power failure damages is recognised when it is read. Belongs to one thread.
public final class ExampleWriter {
    public let shape: InputShape
    /// Slices in the file.
    public private(set) var count: Int
    private let file: FileHandle
    private let path: String

    /// Room for the header; a file of four dimensions needs about 120 bytes.
    private static let headerBytes = 256

    /// Goes on with the file at `url`, or begins it.
    ///
    /// - Throws: `TorchError.example` when the file cannot be made or holds something else.
    public init(_ url: URL, shape: InputShape) throws(TorchError) {
        self.shape = shape
        path = url.path
        if FileManager.default.fileExists(atPath: url.path) {
            let existing = try ExampleFile(url)
            guard existing.shape == shape else {
                throw .example(path: url.path, reason: "it holds slices of \(existing.shape), not \(shape)")
            }
            count = existing.count
        } else {
            count = 0
        }
        do {
            if count == 0 { try Data().write(to: url) }
            file = try FileHandle(forUpdating: url)
            if count == 0 { try Self.writeHeader(0, shape, file) }
        } catch {
            throw .example(path: url.path, reason: error.localizedDescription)
        }
    }

    deinit { try? file.close() }

    /// Appends `slices` slices, each channels × height × width.
    ///
    /// - Returns: the index of the first of them.
    @discardableResult
    public func append(_ values: UnsafeBufferPointer<Float>, slices: Int) throws(TorchError) -> Int {
        precondition(values.count == slices * shape.valueCount, "\(values.count) values for \(slices) slices")
        let halves = values.map(HalfPrecision.bits)
        let first = count
        do {
            try file.seek(toOffset: UInt64(Self.headerBytes + first * shape.valueCount * 2))
            try halves.withUnsafeBytes { try file.write(contentsOf: Data($0)) }
            try Self.writeHeader(first + slices, shape, file)
        } catch {
            throw .example(path: path, reason: error.localizedDescription)
        }
        count = first + slices
        return first
    }

    @discardableResult
    public func append(_ values: [Float], slices: Int) throws(TorchError) -> Int {
        var outcome: Result<Int, TorchError> = .success(0)
        values.withUnsafeBufferPointer { buffer in
            outcome = Result { () throws(TorchError) in try append(buffer, slices: slices) }
        }
        return try outcome.get()
    }

    private static func writeHeader(_ count: Int, _ shape: InputShape, _ file: FileHandle) throws {
        let header = SafetensorsHeader(
            laying: [(ExampleFile.tensor, [count, shape.channels, shape.height, shape.width])], as: .f16)
        guard let bytes = header.encoded(paddedTo: headerBytes) else {
            throw TorchError.run(reason: "the header of an example does not fit \(headerBytes) bytes")
        }
        try file.seek(toOffset: 0)
        try file.write(contentsOf: bytes)
    }
}
