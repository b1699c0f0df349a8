// SPDX-License-Identifier: GPL-3.0-or-later
import CZeroMQ

/// A libzmq context. Thread-safe; every socket keeps its context alive.
public final class Context: Sendable {
    // libzmq contexts may be used from any thread (zmq_ctx_new(3)).
    nonisolated(unsafe) let raw: UnsafeMutableRawPointer

    /// - Throws: `ZeroMQError` when the process is out of memory or file descriptors.
    public init(ioThreads: Int32 = 1) throws(ZeroMQError) {
        guard let raw = zmq_ctx_new() else { throw .last("create context") }
        self.raw = raw
        zmq_ctx_set(raw, ZMQ_IO_THREADS, ioThreads)
        // Sockets drop what is unsent when they close, so that a process can always stop.
        zmq_ctx_set(raw, ZMQ_BLOCKY, 0)
    }

    deinit {
        zmq_ctx_term(raw)
    }
}
