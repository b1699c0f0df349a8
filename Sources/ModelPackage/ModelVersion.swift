// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// What a flag, a round and a delta refer to: a package together with one set of parameters for it.
///
/// `parameters` is the SHA-256 of the safetensors file with all trainable parameters. Version 0 of a package has the
/// parameters of the package's own `models/parameters.safetensors`.
public struct ModelVersion: Sendable, Hashable, Codable {
    public let package: Hash
    public let parameters: Hash

    public init(package: Hash, parameters: Hash) {
        self.package = package
        self.parameters = parameters
    }

    /// The version's own address.
    public var id: Hash {
        Hash(of: Data("gantry-model-version\n\(package.hex)\n\(parameters.hex)\n".utf8))
    }
}
