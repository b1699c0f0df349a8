// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// A file in memory, without a name but the one under /proc, by which `SafetensorsFile` opens it.
private let file: Int32 = {
    let name = "/dev/shm/gantry-fuzz-\(getpid())"
    let descriptor = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    precondition(descriptor >= 0, "\(name): \(errno)")
    unlink(name)
    return descriptor
}()
private let path = URL(filePath: "/proc/self/fd/\(file)")

/// libFuzzer target over safetensors files: parameters, deltas and kept examples come from elsewhere.
///
/// With an even first byte the rest is a whole file. With an odd one the next two bytes say how many bytes of values follow
/// the header, and the rest is its JSON, so that the fuzzer need not learn the length in front. What is refused is fine; of
/// what is taken every value can be read, and the same header comes back from its own encoding.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSafetensors(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = Data(UnsafeBufferPointer(start: start, count: count))
    guard let kind = input.first else { return 0 }
    var content = input.dropFirst()
    if kind % 2 == 1 {
        guard content.count >= 2 else { return 0 }
        let values = Int(content[content.startIndex]) << 8 | Int(content[content.startIndex + 1])
        let json = content.dropFirst(2)
        content = withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) } + json + Data(count: values)
    }
    content = Data(content)
    guard ftruncate(file, 0) == 0 else { fatalError("ftruncate: \(errno)") }
    let written = content.withUnsafeBytes { pwrite(file, $0.baseAddress, $0.count, 0) }
    precondition(written == content.count, "pwrite: \(errno)")
    for allowsTrailing in [false, true] {
        guard let opened = try? SafetensorsFile(path, allowsTrailing: allowsTrailing) else { continue }
        let header = opened.header
        precondition(header.byteCount + header.dataByteCount <= content.count, "values beyond the end of the file")
        for entry in header.entries {
            let values = try? opened.values(of: entry.name, in: 0..<entry.valueCount)
            precondition(values?.count == entry.valueCount, "a tensor that cannot be read: \(entry)")
        }
        _ = try? opened.firstNonFinite()
        let encoded = header.encoded
        let again = try? SafetensorsHeader(
            json: encoded.dropFirst(8), dataBytes: header.dataByteCount, allowsTrailing: allowsTrailing)
        precondition(again?.entries == header.entries, "a header changed on its way: \(header)")
    }
    if let map = try? Safetensors.decode(content) {
        // Not a number is not equal to itself; its bytes are.
        let bytes = Safetensors.encode(map)
        precondition(
            (try? Safetensors.decode(bytes)).map { Safetensors.encode($0) } == bytes, "values changed on their way")
    }
    return 0
}
