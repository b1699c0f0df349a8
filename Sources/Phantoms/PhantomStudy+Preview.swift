// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Imaging
import ModelPackage

extension PhantomStudy {
    /// The most telling instance as a person would look at it (brain window; the radiograph's own window), as a
    /// portable grey map of 256 × 256.
    public func preview() throws(ImagingError) -> Data {
        let size = 256
        let channel: Preprocessing.Channel = identity.kind == .headCT ? .window(center: 40, width: 80) : .ownWindow
        let preprocessor = try Preprocessor(Preprocessing(height: size, width: size, channels: [channel]))
        let file = try instance(tellingInstance)
        let frame = Frame()
        let input = try InstanceReader.read(file) { reader throws(ImagingError) in
            try reader.decode(0, into: frame)
            return try preprocessor.input(from: frame)
        }
        return Data("P5\n\(size) \(size)\n255\n".utf8) + Data(input.map { UInt8($0 * 255) })
    }
}
