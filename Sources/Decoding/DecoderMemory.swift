// SPDX-License-Identifier: GPL-3.0-or-later
import CDecoding
import Glibc

/// The memory that the worker shares with one decoder process: instances go in, model inputs come out.
///
/// Its size is fixed and sealed, and it takes up what is touched. Each side may write only its own part.
final class DecoderMemory {
    enum Side { case worker, decoder }

    let descriptor: Int32
    /// Read-only for the decoder.
    let input: UnsafeMutableRawBufferPointer
    /// Read-only for the worker.
    let output: UnsafeMutableRawBufferPointer

    /// Makes memory for a worker's seat. Sizes are rounded up to whole pages.
    convenience init(inputBytes: Int, outputBytes: Int) throws(DecoderError) {
        var descriptor: Int32 = -1
        let (input, output) = (Self.wholePages(inputBytes), Self.wholePages(outputBytes))
        let code = gd_memory(input + output, &descriptor)
        guard code == 0 else { throw .unavailable("no shared memory: \(text(ofCode: code))") }
        try self.init(descriptor: descriptor, inputBytes: input, outputBytes: output, side: .worker)
    }

    /// Maps memory that is there. Takes over the descriptor.
    init(descriptor: Int32, inputBytes: Int, outputBytes: Int, side: Side) throws(DecoderError) {
        let writes = PROT_READ | PROT_WRITE
        guard let input = mmap(nil, inputBytes, side == .worker ? writes : PROT_READ, MAP_SHARED, descriptor, 0),
            input != MAP_FAILED,
            let output = mmap(
                nil, outputBytes, side == .decoder ? writes : PROT_READ, MAP_SHARED, descriptor, off_t(inputBytes)),
            output != MAP_FAILED
        else {
            let code = errno
            close(descriptor)
            throw .unavailable("no addresses for the shared memory: \(text(ofCode: code))")
        }
        self.descriptor = descriptor
        self.input = UnsafeMutableRawBufferPointer(start: input, count: inputBytes)
        self.output = UnsafeMutableRawBufferPointer(start: output, count: outputBytes)
    }

    deinit {
        munmap(input.baseAddress, input.count)
        munmap(output.baseAddress, output.count)
        close(descriptor)
    }

    /// Gives all pages back to the system.
    func release() {
        // Without success the pages are used again by the next instance.
        _ = gd_release(descriptor, 0, input.count + output.count)
    }

    private static func wholePages(_ bytes: Int) -> Int {
        let page = Int(getpagesize())
        return max(1, (bytes + page - 1) / page) * page
    }
}

/// What errno says.
func text(ofCode code: Int32) -> String { String(cString: strerror(code)) }
