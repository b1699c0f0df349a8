// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import Synchronization

/// A folder of phantom studies, one folder each, with the truth beside them in `truth.csv`.
public struct PhantomFolder: Sendable {
    public let url: URL
    public var truthURL: URL { url.appending(path: "truth.csv") }

    /// Makes the folder where it is missing.
    public init(_ url: URL) throws {
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        self.url = url
    }

    /// Writes the instances of a study as `0001.dcm` and so on, on all cores, then its line of truth.
    ///
    /// A study of the same name that is there already is replaced, with its line. Returns the bytes written.
    @discardableResult
    public func write(
        _ study: PhantomStudy, transferSyntax: PhantomTransferSyntax = .explicitLittleEndian
    ) throws -> Int {
        let folder = url.appending(path: study.folder)
        if FileManager.default.fileExists(atPath: folder.path) { try FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let outcome = Mutex<(bytes: Int, failure: (any Error)?)>((0, nil))
        DispatchQueue.concurrentPerform(iterations: study.instances) { index in
            do {
                let file = try study.instance(index, transferSyntax: transferSyntax)
                try file.write(to: folder.appending(path: String(format: "%04d.dcm", index + 1)))
                outcome.withLock { $0.bytes += file.count }
            } catch {
                outcome.withLock { $0.failure = $0.failure ?? error }
            }
        }
        let (bytes, failure) = outcome.withLock { ($0.bytes, $0.failure) }
        if let failure { throw failure }
        try append(study.truth)
        return bytes
    }

    private func append(_ truth: PhantomTruth) throws {
        var lines = [PhantomTruth.header]
        if FileManager.default.fileExists(atPath: truthURL.path) {
            let text = try String(contentsOf: truthURL, encoding: .utf8)
            lines += text.split(separator: "\n").dropFirst().map(String.init)
        }
        if let known = lines.firstIndex(where: { $0.contains(",\(truth.patientID),") }) {
            lines[known] = truth.line
        } else {
            lines.append(truth.line)
        }
        try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: truthURL, options: .atomic)
    }

    /// Writes a small picture of the study's most telling instance as `preview.pgm` (grey map, 256 × 256).
    public func writePreview(_ study: PhantomStudy) throws {
        let preview = try study.preview()
        try preview.write(to: url.appending(path: study.folder).appending(path: "preview.pgm"))
    }
}
