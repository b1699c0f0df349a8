// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import Synchronization
import Wire
import ZeroMQ

/// The host's callbacks, as Swift. Sendable because `log` and `send_instance` have threads of their own, and only the
/// archivist's thread calls the others.
@safe
final class Host: @unchecked Sendable {
    enum ReadResult: Sendable {
        case bytes(Payload)
        case gone
        case failed(code: Int32)
    }

    struct LogPage {
        var instances: [GatewayInstanceID] = []
        var position: String?
        var hasMore = false
    }

    private let callbacks: gantry_host
    private let log = Mutex<(lines: HostLog, thread: StoppableThread)?>(nil)

    /// Starts the log's thread when the host has a log.
    ///
    /// - Parameter callbacks: with the fields that the host's struct_size does not cover set to null.
    /// - Throws: `ZeroMQError` when threads or file descriptors are exhausted.
    init(_ callbacks: gantry_host) throws(ZeroMQError) {
        unsafe self.callbacks = callbacks
        guard let write = unsafe callbacks.log else { return }
        let lines = try HostLog()
        // Unchecked: gantry.h says that `log` is called from another thread, with this context.
        nonisolated(unsafe) let context = unsafe callbacks.context
        let thread = StoppableThread(name: "gantry-log") {
            lines.run { level, line in unsafe write(context, level, line) }
        }
        try thread.start()
        log.withLock { $0 = (lines, thread) }
    }

    var readsLog: Bool { unsafe callbacks.read_log != nil }

    // MARK: Log

    func info(_ line: String) { put(GANTRY_LEVEL_INFO, line) }
    func warning(_ line: String) { put(GANTRY_LEVEL_WARNING, line) }
    func error(_ line: String) { put(GANTRY_LEVEL_ERROR, line) }

    private func put(_ level: gantry_level, _ line: String) {
        log.withLock { $0?.lines }?.put(Int32(truncatingIfNeeded: level.rawValue), line)
    }

    var isOnLogThread: Bool { log.withLock { $0?.thread }?.isCurrent ?? false }

    /// Waits until the host has every line so far.
    func flushLog(timeoutMilliseconds: Int64) {
        log.withLock { $0?.lines }?.flush(timeoutMilliseconds: timeoutMilliseconds)
    }

    /// Writes the last lines and ends the log's thread; nothing is logged after it.
    ///
    /// - Returns: false when the host's log did not return in time; its thread is left behind.
    func stopLog(timeoutMilliseconds: Int64) -> Bool {
        guard let (lines, thread) = log.withLock({ $0 }) else { return true }
        lines.stop()
        guard thread.join(timeoutMilliseconds: timeoutMilliseconds) else { return false }
        log.withLock { $0 = nil }
        return true
    }

    // MARK: Callbacks

    func read(_ instance: GatewayInstanceID) -> ReadResult {
        guard let read = unsafe callbacks.read_instance else { return .gone }
        var bytes: UnsafeMutableRawPointer?
        var size = 0
        let code = unsafe read(callbacks.context, instance.text, &bytes, &size)
        guard code == Code.ok, let bytes = unsafe bytes else {
            // What a host has put there beside an error is its own.
            return code == Code.notFound ? .gone : .failed(code: code)
        }
        return unsafe .bytes(Payload(adopting: bytes, count: max(size, 0)))
    }

    /// Empty when the host has no study ids; nil when it cannot say at present.
    func study(of instance: GatewayInstanceID) -> String? {
        guard let resolve = unsafe callbacks.resolve_study else { return "" }
        var buffer = [CChar](repeating: 0, count: 256)
        let code = unsafe resolve(callbacks.context, instance.text, &buffer, buffer.count)
        if code == Code.notFound { return "" }
        guard code == Code.ok else { return nil }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Empty when there is none or the host does not know; nil when it cannot say at present.
    func callingAETitle(of instance: GatewayInstanceID) -> String? {
        guard let ask = unsafe callbacks.calling_ae_title else { return "" }
        var buffer = [CChar](repeating: 0, count: 65)
        let code = unsafe ask(callbacks.context, instance.text, &buffer, buffer.count)
        if code == Code.notFound { return "" }
        guard code == Code.ok else { return nil }
        return String(decoding: buffer.dropLast().prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// - Returns: false when the host wants to be told again later.
    func show(_ flag: StoredFlag) -> Bool {
        guard let changed = unsafe callbacks.flag_changed else { return true }
        let code = unsafe flag.study.withCString { study in
            unsafe flag.instance.withCString { instance in
                unsafe flag.gatewayStudy.withCString { gatewayStudy in
                    unsafe flag.urgency.withCString { urgency in
                        unsafe flag.json.withCString { json in
                            unsafe flag.state.withCString { state in
                                var raw = unsafe gantry_flag(
                                    struct_size: MemoryLayout<gantry_flag>.size, study_instance_uid: study,
                                    instance_id: instance, study_id: gatewayStudy, urgency: urgency, json: json,
                                    state: state)
                                return unsafe changed(callbacks.context, &raw)
                            }
                        }
                    }
                }
            }
        }
        return code == Code.ok
    }

    var storesInstances: Bool { unsafe callbacks.store_instance != nil }

    /// The host's code: ok, bad argument when it will never store it, another one when it may later.
    func store(_ file: [UInt8]) -> Int32 {
        guard let store = unsafe callbacks.store_instance else { return Code.badArgument }
        return unsafe file.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return Code.badArgument }
            return unsafe store(callbacks.context, base, bytes.count)
        }
    }

    var sendsInstances: Bool { unsafe callbacks.send_instance != nil }

    /// - Returns: the host's code, and in its own words why an instance was not sent.
    func send(_ sopInstanceUID: String, to target: String) -> (code: Int32, reason: String) {
        guard let send = unsafe callbacks.send_instance else { return (Code.badArgument, "") }
        var buffer = [CChar](repeating: 0, count: 256)
        let code = unsafe send(callbacks.context, target, sopInstanceUID, &buffer, buffer.count)
        let bytes = buffer.dropLast().prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return (code, code == Code.ok ? "" : String(decoding: bytes, as: UTF8.self))
    }

    /// One page of the host's log after `position`; nil for `position` asks where the log ends. Nil when the host
    /// cannot say at present.
    func readLog(after position: String?) -> LogPage? {
        guard let read = unsafe callbacks.read_log else { return nil }
        let sink = LogSinks.open()
        var page = unsafe gantry_log_page(
            struct_size: MemoryLayout<gantry_log_page>.size, sink: UnsafeMutableRawPointer(bitPattern: sink),
            add: { sink, instance in unsafe LogSinks.add(sink, instance) },
            end: { sink, position, more in unsafe LogSinks.end(sink, position, more) })
        let code: Int32
        if let position {
            code = unsafe read(callbacks.context, position, &page)
        } else {
            code = unsafe read(callbacks.context, nil, &page)
        }
        let found = LogSinks.close(sink)
        return code == Code.ok && found.position != nil ? found : nil
    }

    func destroy() {
        if let destroy = unsafe callbacks.destroy { unsafe destroy(callbacks.context) }
    }
}
