// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Sandbox

/// `gantry-model`: runs one TorchScript model for the program that started it.
@main
enum GantryModel {
    static func main() {
        do throws(SandboxError) {
            let loop = try ModelLoop(arguments: Array(CommandLine.arguments.dropFirst()))
            loop.run()
        } catch {
            FileHandle.standardError.write(Data("gantry-model: \(error)\n".utf8))
            exit(EX_USAGE)
        }
    }
}
