// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import ModelPackage

/// The modality values of one frame.
func values(_ file: Data, frame index: Int = 0) throws(ImagingError) -> [Float] {
    let frame = Frame()
    return try InstanceReader.read(file) { reader throws(ImagingError) in
        try reader.decode(index, into: frame)
        return try frame.values()
    }
}

/// The model input that one frame gives.
func input(_ file: Data, _ preprocessing: Preprocessing) throws(ImagingError) -> [Float] {
    let frame = Frame()
    let preprocessor = try Preprocessor(preprocessing)
    return try InstanceReader.read(file) { reader throws(ImagingError) in
        try reader.decode(0, into: frame)
        return try preprocessor.input(from: frame)
    }
}

/// What happens to a file on its way to values: nil when all of it works.
func failure(_ file: Data) -> ImagingError? {
    do throws(ImagingError) {
        let frame = Frame()
        try InstanceReader.read(file) { reader throws(ImagingError) in
            let image = try reader.instance.image.get()
            for index in 0..<min(image.numberOfFrames, 3) {
                try reader.decode(index, into: frame)
                _ = try frame.values()
            }
        }
        return nil
    } catch {
        return error
    }
}

/// Runs a DICOM tool on files in a folder that is gone afterwards.
func convert(_ file: Data, with tool: String, _ options: [String] = []) throws -> Data {
    let folder = FileManager.default.temporaryDirectory.appending(path: "gantry-imaging-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let source = folder.appending(path: "in.dcm")
    let target = folder.appending(path: "out.dcm")
    try file.write(to: source)
    let process = Process()
    process.executableURL = URL(filePath: tool)
    process.arguments = options + [source.path, target.path]
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return try Data(contentsOf: target)
}

func isInstalled(_ tools: String...) -> Bool {
    tools.allSatisfy { FileManager.default.isExecutableFile(atPath: $0) }
}
