// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import Wire

#if canImport(Glibc)
    import Glibc
#endif

/// The host's callbacks, as Swift. Sendable because gantry.h lets `log` come from any thread, and only the
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

    /// - Parameter callbacks: with the fields that the host's struct_size does not cover set to null.
    init(_ callbacks: gantry_host) { unsafe self.callbacks = callbacks }

    var readsLog: Bool { unsafe callbacks.read_log != nil }

    func info(_ line: String) { log(GANTRY_LEVEL_INFO, line) }
    func warning(_ line: String) { log(GANTRY_LEVEL_WARNING, line) }
    func error(_ line: String) { log(GANTRY_LEVEL_ERROR, line) }

    private func log(_ level: gantry_level, _ line: String) {
        guard let log = unsafe callbacks.log else { return }
        unsafe log(callbacks.context, Int32(truncatingIfNeeded: level.rawValue), line)
    }

    func read(_ instance: GatewayInstanceID) -> ReadResult {
        guard let read = unsafe callbacks.read_instance else { return .gone }
        var bytes: UnsafeMutableRawPointer?
        var size = 0
        let code = unsafe read(callbacks.context, instance.text, &bytes, &size)
        guard code == Code.ok, let bytes = unsafe bytes else {
            unsafe free(bytes)
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
                            var raw = unsafe gantry_flag(
                                struct_size: MemoryLayout<gantry_flag>.size, study_instance_uid: study,
                                instance_id: instance, study_id: gatewayStudy, urgency: urgency, json: json)
                            return unsafe changed(callbacks.context, &raw)
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

    /// One page of the host's log after `position`; nil for `position` asks where the log ends. Nil when the host
    /// cannot say at present.
    func readLog(after position: String?) -> LogPage? {
        guard let read = unsafe callbacks.read_log else { return nil }
        let sink = LogSink()
        let code = withExtendedLifetime(sink) {
            var page = unsafe gantry_log_page(
                struct_size: MemoryLayout<gantry_log_page>.size, sink: Unmanaged.passUnretained(sink).toOpaque(),
                add: { sink, instance in unsafe LogSink.add(sink, instance) },
                end: { sink, position, more in unsafe LogSink.end(sink, position, more) })
            if let position { return unsafe read(callbacks.context, position, &page) }
            return unsafe read(callbacks.context, nil, &page)
        }
        return code == Code.ok && sink.page.position != nil ? sink.page : nil
    }

    func destroy() {
        if let destroy = unsafe callbacks.destroy { unsafe destroy(callbacks.context) }
    }
}

/// What `gantry_log_page.sink` points to during one call of `read_log`.
private final class LogSink {
    /// More than any page needs; a host that adds without end is cut off and continues from its last position.
    private static let longestPage = 100_000
    var page = Host.LogPage()

    static func add(_ sink: UnsafeMutableRawPointer?, _ instance: UnsafePointer<CChar>?) {
        guard let sink = unsafe sink, let instance = unsafe instance else { return }
        let object = unsafe Unmanaged<LogSink>.fromOpaque(sink).takeUnretainedValue()
        guard object.page.instances.count < longestPage else { return }
        if let id = unsafe GatewayInstanceID(String(cString: instance)) { object.page.instances.append(id) }
    }

    static func end(_ sink: UnsafeMutableRawPointer?, _ position: UnsafePointer<CChar>?, _ more: Int32) {
        guard let sink = unsafe sink, let position = unsafe position else { return }
        let object = unsafe Unmanaged<LogSink>.fromOpaque(sink).takeUnretainedValue()
        let text = unsafe String(cString: position)
        guard text.utf8.count <= 255 else { return }
        object.page.position = text
        object.page.hasMore = more != 0
    }
}
