// SPDX-License-Identifier: GPL-3.0-or-later
import CZeroMQ

#if canImport(Glibc)
    import Glibc
#endif

/// A POSIX thread with a body: sockets belong to threads, and the plugin has no Foundation to bring its own.
public final class Thread: @unchecked Sendable {
    // `handle` is written once in `start` before anybody can call `join`.
    private var handle: pthread_t?
    private let body: @Sendable () -> Void

    public init(_ body: @escaping @Sendable () -> Void) {
        self.body = body
    }

    /// - Throws: `ZeroMQError` with the system's errno when no thread can be made.
    public func start() throws(ZeroMQError) {
        let context = Unmanaged.passRetained(self)
        var handle = pthread_t()
        let code = pthread_create(
            &handle, nil,
            { argument in
                if let argument { Unmanaged<Thread>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            }, context.toOpaque())
        if code != 0 {
            context.release()
            throw ZeroMQError(code: code, operation: "start a thread")
        }
        self.handle = handle
    }

    /// Names the calling thread for ps and debuggers.
    ///
    /// - Parameter name: at most 15 bytes; a longer name is not set (pthread_setname_np(3)).
    public static func nameCurrent(_ name: String) { gantry_name_thread(name) }

    /// Waits for the body to return. Call once, from another thread.
    public func join() {
        if let handle { pthread_join(handle, nil) }
        handle = nil
    }
}
