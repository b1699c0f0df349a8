// SPDX-License-Identifier: GPL-3.0-or-later
import ArgumentParser
import Decoding
import Foundation
import ModelPackage

/// `gantry bench decode`.
struct BenchDecodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode", abstract: "Slices that become model inputs per CPU second.",
        discussion: """
            Reads the instances of a folder into memory, then hands them one by one to gantry-decoder, as the worker does:
            decode, rescale, window 40/80, resize to 224 × 224. Counts the processor time of both sides, which work in
            turns.
            """)

    @Argument(help: "A folder of .dcm files with one frame each.", completion: .directory)
    var folder: String

    @Option(help: "Processor seconds to measure for.")
    var seconds = 1.0

    @Option(
        help: ArgumentHelp("Write the inputs of all slices here, as 32-bit floats.", valueName: "file"),
        completion: .file())
    var inputs: String?

    private static let plan = PreprocessingPlan([
        Preprocessing(height: 224, width: 224, channels: [.window(center: 40, width: 80)], fit: .stretch)
    ])

    func run() throws {
        let files = try FileManager.default.contentsOfDirectory(
            at: URL(filePath: folder), includingPropertiesForKeys: nil
        ).filter { $0.pathExtension == "dcm" }.sorted { $0.path < $1.path }
        guard !files.isEmpty else { throw ValidationError("\(folder) holds no .dcm file.") }
        let instances = try files.map { try Data(contentsOf: $0) }
        let beside = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let seat = DecoderSeat(
            DecoderSettings(
                executable: beside.appending(path: "gantry-decoder").path, answerSeconds: 60, privateBytes: 1 << 30,
                instanceBytes: 1 << 29))
        defer { seat.stop() }
        var pictures = Data()
        for (file, instance) in zip(files, instances) {
            let input = try prepare(instance, seat, file)
            if inputs != nil { input.withUnsafeBytes { pictures.append(contentsOf: $0) } }
        }
        if let inputs { try pictures.write(to: URL(filePath: inputs)) }
        let begin = BenchCommand.processorSeconds + seat.processorSeconds
        var slices = 0
        var spent = 0.0
        while spent < seconds {
            for (file, instance) in zip(files, instances) { _ = try prepare(instance, seat, file) }
            slices += instances.count
            spent = BenchCommand.processorSeconds + seat.processorSeconds - begin
        }
        print("{\"slices_per_cpu_second\": \(Double(slices) / spent)}")
    }

    private func prepare(_ instance: Data, _ seat: DecoderSeat, _ file: URL) throws -> [Float] {
        defer { seat.close() }
        do {
            let header = try instance.withUnsafeBytes { try seat.open($0) }
            if case .failure(let error) = header.image { throw DecoderError.instance(error) }
            return try seat.prepare(0..<1, for: Self.plan)[0]
        } catch {
            throw ValidationError("\(file.path): \(error)")
        }
    }
}
