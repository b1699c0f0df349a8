// SPDX-License-Identifier: GPL-3.0-or-later
import CSandbox
import Glibc

/// The memory that a program shares with one confined process: questions go in, answers come out.
///
/// Its size is fixed and sealed, and it takes up what is touched. Each side may write only its own part.
public final class SharedMemory {
    public enum Side: Sendable { case parent, confined }

    public let descriptor: Int32
    /// Read-only for the confined process.
    public let input: UnsafeMutableRawBufferPointer
    /// Read-only for its parent.
    public let output: UnsafeMutableRawBufferPointer

    /// Makes memory, for the parent. Sizes are in bytes and rounded up to whole pages.
    public convenience init(inputBytes: Int, outputBytes: Int) throws(SandboxError) {
        var descriptor: Int32 = -1
        let (input, output) = (Self.wholePages(inputBytes), Self.wholePages(outputBytes))
        let code = gs_memory(input + output, &descriptor)
        guard code == 0 else { throw SandboxError("no shared memory", code: code) }
        try self.init(descriptor: descriptor, inputBytes: input, outputBytes: output, side: .parent)
    }

    /// Maps memory that is there, in whole pages. Takes over the descriptor, also when it throws.
    public init(descriptor: Int32, inputBytes: Int, outputBytes: Int, side: Side) throws(SandboxError) {
        let writes = PROT_READ | PROT_WRITE
        let input = mmap(nil, inputBytes, side == .parent ? writes : PROT_READ, MAP_SHARED, descriptor, 0)
        let output = mmap(
            nil, outputBytes, side == .confined ? writes : PROT_READ, MAP_SHARED, descriptor, off_t(inputBytes))
        let code = errno
        // Assigned last: what is thrown after the last assignment runs `deinit`, which would close a second time.
        guard let input, input != MAP_FAILED, let output, output != MAP_FAILED else {
            if let input, input != MAP_FAILED { munmap(input, inputBytes) }
            if let output, output != MAP_FAILED { munmap(output, outputBytes) }
            close(descriptor)
            throw SandboxError("no addresses for the shared memory", code: code)
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
    public func release() {
        // Without success the pages are used again.
        _ = gs_release(descriptor, 0, input.count + output.count)
    }

    private static func wholePages(_ bytes: Int) -> Int {
        let page = Int(getpagesize())
        return max(1, (bytes + page - 1) / page) * page
    }
}
