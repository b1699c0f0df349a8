// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// Writes a canonical safetensors file piece by piece: the shapes are known first, the values come in order.
///
/// The values go to `<path>.partial`, which `finish()` syncs to disk and renames; a writer that is dropped before leaves
/// no file. Belongs to one thread.
public final class SafetensorsWriter {
    /// The order in which the tensors' values are to be appended.
    public let names: [String]
    private let header: SafetensorsHeader
    private let url: URL
    private let partial: URL
    private var file: FileHandle?
    private var writtenBytes = 0

    /// - Parameter shapes: shape by tensor name. Values are expected in `names` order.
    public init(_ url: URL, shapes: [String: [Int]]) throws(SafetensorsError) {
        self.url = url
        names = shapes.keys.sorted(by: TensorMap.precedes)
        header = SafetensorsHeader(laying: names.map { ($0, shapes[$0] ?? []) })
        partial = url.appendingPathExtension("partial")
        do {
            try header.encoded.write(to: partial)
            let file = try FileHandle(forWritingTo: partial)
            try file.seekToEnd()
            self.file = file
        } catch {
            throw .file(path: partial.path, reason: error.localizedDescription)
        }
    }

    deinit {
        guard let file else { return }
        try? file.close()
        try? FileManager.default.removeItem(at: partial)
    }

    /// Appends the next values; pieces need not end where tensors end.
    ///
    /// - Precondition: not more values than the shapes hold, and not after `finish()`.
    public func append(_ values: [Float]) throws(SafetensorsError) {
        guard let file else { preconditionFailure("append after finish") }
        let bytes = values.withUnsafeBytes { Data($0) }
        precondition(writtenBytes + bytes.count <= header.dataByteCount, "more values than the shapes hold")
        do {
            try file.write(contentsOf: bytes)
        } catch {
            throw .file(path: partial.path, reason: error.localizedDescription)
        }
        writtenBytes += bytes.count
    }

    /// Makes the file durable under its name.
    ///
    /// - Precondition: every value was appended.
    public func finish() throws(SafetensorsError) {
        guard let file else { preconditionFailure("finish twice") }
        precondition(writtenBytes == header.dataByteCount, "\(writtenBytes) of \(header.dataByteCount) bytes appended")
        do {
            try file.synchronize()
            try file.close()
            guard rename(partial.path, url.path) == 0 else {
                throw SafetensorsError.file(path: url.path, reason: String(cString: strerror(errno)))
            }
        } catch let error as SafetensorsError {
            throw error
        } catch {
            throw .file(path: url.path, reason: error.localizedDescription)
        }
        self.file = nil
    }
}
