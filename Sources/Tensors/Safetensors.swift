// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// Whole tensor maps to and from the safetensors format.
///
/// The canonical form, which is what is written: F32, tensors sorted by name, compact JSON padded to eight bytes, no
/// metadata. The same values always give the same bytes, so the file's hash is the identity of the values.
public enum Safetensors {
    /// The canonical bytes of `map`.
    public static func encode(_ map: TensorMap) -> Data {
        let header = header(of: map)
        var data = header.encoded
        data.reserveCapacity(header.byteCount + header.dataByteCount)
        for name in map.names {
            map.tensors[name]?.values.withUnsafeBytes { data.append(contentsOf: $0) }
        }
        return data
    }

    /// Reads F32, F16, BF16 and F64 tensors as `Float`.
    ///
    /// - Throws: `SafetensorsError` for anything that is not exactly one well-formed file. Values are not judged: see
    ///   `TensorMap.firstNonFinite`.
    public static func decode(_ data: Data) throws(SafetensorsError) -> TensorMap {
        let length = try SafetensorsHeader.jsonLength(prefix: data)
        let start = data.startIndex + 8
        guard data.count - 8 >= length else {
            throw .truncated(expectedBytes: 8 + length, foundBytes: data.count)
        }
        let header = try SafetensorsHeader(
            json: data.subdata(in: start..<start + length), dataBytes: data.count - 8 - length)
        var map = TensorMap()
        data.withUnsafeBytes { bytes in
            for entry in header.entries {
                let source = UnsafeRawBufferPointer(
                    rebasing: bytes[
                        header.byteCount + entry.bytes.lowerBound..<header.byteCount + entry.bytes.upperBound])
                map.tensors[entry.name] = Tensor(shape: entry.shape, values: floats(source, entry.dtype))
            }
        }
        return map
    }

    /// Writes the canonical bytes and swaps them into place.
    public static func write(_ map: TensorMap, to url: URL) throws(SafetensorsError) {
        do {
            try encode(map).write(to: url, options: .atomic)
        } catch {
            throw .file(path: url.path, reason: error.localizedDescription)
        }
    }

    public static func read(_ url: URL) throws(SafetensorsError) -> TensorMap {
        let data: Data
        do {
            data = try Data(contentsOf: url)
        } catch {
            throw .file(path: url.path, reason: error.localizedDescription)
        }
        return try decode(data)
    }

    /// The header of the canonical form.
    static func header(of map: TensorMap) -> SafetensorsHeader {
        SafetensorsHeader(laying: map.names.map { ($0, map.tensors[$0]?.shape ?? []) })
    }

    /// Little-endian values of any alignment as floats. F64 values that no float can hold become infinite.
    static func floats(_ source: UnsafeRawBufferPointer, _ dtype: SafetensorsHeader.DType) -> [Float] {
        [Float](unsafeUninitializedCapacity: source.count / dtype.byteCount) { values, count in
            convert(source, dtype, into: values)
            count = source.count / dtype.byteCount
        }
    }

    static func convert(
        _ source: UnsafeRawBufferPointer, _ dtype: SafetensorsHeader.DType,
        into values: UnsafeMutableBufferPointer<Float>
    ) {
        let count = source.count / dtype.byteCount
        switch dtype {
        case .f32:
            UnsafeMutableRawBufferPointer(values).copyMemory(from: source)
        case .f16:
            for index in 0..<count {
                let bits = source.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)
                values[index] = Float(Float16(bitPattern: UInt16(littleEndian: bits)))
            }
        case .bf16:
            for index in 0..<count {
                let bits = source.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)
                values[index] = Float(bitPattern: UInt32(UInt16(littleEndian: bits)) << 16)
            }
        case .f64:
            for index in 0..<count {
                let bits = source.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self)
                values[index] = Float(Double(bitPattern: UInt64(littleEndian: bits)))
            }
        }
    }
}
