// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Tensors

/// The preprocessed slices of one study on disk: a safetensors file with one F16 tensor `slices` of shape
/// slices × channels × height × width. It holds no identifier.
///
/// F16 keeps 11 significant bits, more than the 8 of a window on a screen, at half the bytes. Reads are positioned; may be
/// used from several threads. Bytes after the announced slices are ignored: they are what a writer that was killed had
/// begun to append.
public final class ExampleFile: Sendable {
    public let shape: InputShape
    /// The number of slices.
    public let count: Int
    private let file: SafetensorsFile

    public var path: String { file.path }

    static let tensor = "slices"

    /// - Throws: `TorchError.example` when the file is missing, damaged or not of this form.
    public init(_ url: URL) throws(TorchError) {
        do throws(SafetensorsError) {
            file = try SafetensorsFile(url, allowsTrailing: true)
        } catch {
            throw .example(path: url.path, reason: error.description)
        }
        guard file.header.entries.count == 1, let entry = file.entry(Self.tensor), entry.dtype == .f16,
            entry.shape.count == 4
        else {
            throw .example(path: url.path, reason: "it does not hold one F16 tensor “slices” with four dimensions")
        }
        count = entry.shape[0]
        shape = InputShape(channels: entry.shape[1], height: entry.shape[2], width: entry.shape[3])
    }

    /// Half-precision values of the slices `range`, slice by slice.
    ///
    /// - Precondition: `range` lies in 0..<count.
    func halves(in range: Range<Int>) throws(TorchError) -> Data {
        do throws(SafetensorsError) {
            return try file.bytes(
                of: Self.tensor, in: range.lowerBound * shape.valueCount..<range.upperBound * shape.valueCount)
        } catch {
            throw .example(path: path, reason: error.description)
        }
    }

    /// The values of one slice.
    ///
    /// - Precondition: `index` is in 0..<count.
    public func slice(_ index: Int) throws(TorchError) -> [Float] {
        do throws(SafetensorsError) {
            return try file.values(of: Self.tensor, in: index * shape.valueCount..<(index + 1) * shape.valueCount)
        } catch {
            throw .example(path: path, reason: error.description)
        }
    }
}
