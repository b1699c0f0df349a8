// SPDX-License-Identifier: GPL-3.0-or-later
import Decoding
import Foundation

/// `gantry-decoder`: decodes and preprocesses instances for the gantry-worker that started it.
@main
enum GantryDecoder {
    static func main() {
        do throws(DecoderError) {
            let loop = try DecoderLoop(arguments: Array(CommandLine.arguments.dropFirst()))
            loop.run()
        } catch {
            FileHandle.standardError.write(Data("gantry-decoder: \(error)\n".utf8))
            exit(EX_USAGE)
        }
    }
}
