// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Testing

/// A DICOM tool of the system, run on one file. `Integration/setup --test` installs them.
enum Tool: String {
    case dciodvfy, dsrdump, dcmdump

    /// Everything that the tool prints about a file.
    func says(_ arguments: [String] = [], about file: Data) throws -> String {
        let url = FileManager.default.temporaryDirectory.appending(path: "gantry-\(UUID().uuidString).dcm")
        try file.write(to: url)
        defer { try? FileManager.default.removeItem(at: url) }
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/\(rawValue)")
        process.arguments = arguments + [url.path]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return String(decoding: output, as: UTF8.self)
    }

    /// The lines with which dciodvfy reports an error.
    static func errors(in file: Data) throws -> [String] {
        let output = try Tool.dciodvfy.says(about: file)
        try #require(!output.isEmpty, "dciodvfy names the kind of object at least")
        return output.split(separator: "\n").map(String.init).filter { $0.contains("Error") }
    }
}
