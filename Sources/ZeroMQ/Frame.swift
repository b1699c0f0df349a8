// SPDX-License-Identifier: GPL-3.0-or-later
import CZeroMQ

#if canImport(Glibc)
    import Glibc
#endif

/// One frame of a ZeroMQ message. The bytes are owned by libzmq; large payloads can be handed over without a copy.
///
/// Not Sendable: a frame belongs to one thread at a time; move it with `sending`.
public final class Frame {
    // A zmq_msg_t must stay at one address from init to close (zmq_msg_init(3)).
    let message: UnsafeMutablePointer<zmq_msg_t>

    /// An empty frame.
    public init() {
        message = .allocate(capacity: 1)
        zmq_msg_init(message)
    }

    /// A frame with a copy of `bytes`. Out of memory gives an empty frame.
    public init(copying bytes: UnsafeRawBufferPointer) {
        message = Self.copy(bytes)
    }

    private static func copy(_ bytes: UnsafeRawBufferPointer) -> UnsafeMutablePointer<zmq_msg_t> {
        let message = UnsafeMutablePointer<zmq_msg_t>.allocate(capacity: 1)
        if zmq_msg_init_size(message, bytes.count) != 0 {
            zmq_msg_init(message)
        } else if let base = bytes.baseAddress, bytes.count > 0 {
            memcpy(zmq_msg_data(message), base, bytes.count)
        }
        return message
    }

    /// A frame that sends `buffer` without a copy and keeps `owner`, whose memory it is, until libzmq has sent it; the
    /// last reference to `owner` may go on libzmq's own thread.
    public init(lending buffer: UnsafeMutableRawPointer, count: Int, of owner: some AnyObject & Sendable) {
        message = .allocate(capacity: 1)
        let release: @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void = { _, owner in
            if let owner { Unmanaged<AnyObject>.fromOpaque(owner).release() }
        }
        let kept = Unmanaged<AnyObject>.passRetained(owner)
        if zmq_msg_init_data(message, buffer, count, release, kept.toOpaque()) != 0 {
            kept.release()
            zmq_msg_init(message)
        }
    }

    public init(_ bytes: [UInt8]) {
        message = bytes.withUnsafeBytes { Self.copy($0) }
    }

    /// A frame with the UTF-8 bytes of `text`.
    public convenience init(_ text: String) {
        self.init(Array(text.utf8))
    }

    deinit {
        zmq_msg_close(message)
        message.deallocate()
    }

    /// Payload length in bytes.
    public var count: Int { zmq_msg_size(message) }

    /// The bytes, borrowed for the call.
    public func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: zmq_msg_data(message), count: count))
    }

    /// A copy of the bytes.
    public var bytes: [UInt8] { withUnsafeBytes { Array($0) } }

    /// The bytes as text; invalid UTF-8 is replaced, not refused.
    public var text: String { withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }

    /// The user id that the ZAP handler gave to the connection this frame came on; nil when there was none.
    public var userID: String? { admission?.user }

    /// What the ZAP handler said of the connection this frame came on; nil when it was not asked.
    var admission: Admission? { zmq_msg_gets(message, "User-Id").flatMap { Admission(String(cString: $0)) } }

    /// The descriptor of the connection this frame came on; by now it may stand for something else. Nil for a frame that
    /// did not come from outside.
    var descriptor: Int32? {
        let descriptor = zmq_msg_get(message, ZMQ_SRCFD)
        return descriptor >= 0 ? descriptor : nil
    }
}
