// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// A file with everything that went to the hub, in clear text as it was before encryption, for whoever has to know
/// what leaves the building.
///
/// For each message a line `# <number> <Unix milliseconds> <frames>`, then for each frame a line with its length in
/// bytes, the bytes as they are, and a line end. `grep -a` finds any text in it. Belongs to the hub link's thread.
final class Transcript {
    private let file: FileHandle
    private var number = 0

    /// Appends to the file, which is made with mode 0600.
    init(_ url: URL) throws {
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        let descriptor = open(url.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw SettingsError.noTranscript(file: url.path, reason: String(cString: strerror(errno)))
        }
        file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    /// Records a message before it is sent. A message that cannot be recorded is not to be sent.
    func record(_ parts: [Data], at: Int64) throws {
        number += 1
        var entry = Data("# \(number) \(at) \(parts.count)\n".utf8)
        for part in parts {
            entry += Data("\(part.count)\n".utf8)
            entry += part
            entry += Data("\n".utf8)
        }
        try file.write(contentsOf: entry)
    }
}
