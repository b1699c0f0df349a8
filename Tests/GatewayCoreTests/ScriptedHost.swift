// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import Foundation
import GatewayCore
import Synchronization
import Testing

/// A host of gantry.h with its instances and its log in memory.
final class ScriptedHost: Sendable {
    struct State {
        var instances: [String: [UInt8]] = [:]
        var log: [String] = []
        var lines: [(level: Int32, text: String)] = []
        var reads: [String] = []
        var flags: [String] = []
        var failReads = false
        var refuseFlags = false
        var refuseLog = false
        /// Codes of the next calls of store_instance.
        var storing: [Int32] = []
        var stored: [[UInt8]] = []
        /// Codes of the next calls of send_instance.
        var sending: [Int32] = []
        /// What send_instance was asked for, as "target object".
        var sent: [String] = []
        /// Studies whose flags are refused.
        var refusedStudies: Set<String> = []
        var isDestroyed = false
    }

    let state = Mutex(State())

    var callbacks: gantry_host {
        gantry_host(
            struct_size: MemoryLayout<gantry_host>.size, context: Unmanaged.passUnretained(self).toOpaque(),
            log: { context, level, line in
                let text = String(cString: line!)
                ScriptedHost.from(context).state.withLock { $0.lines.append((level, text)) }
            },
            read_instance: { context, id, bytes, size in
                let id = String(cString: id!)
                let (found, fails) = ScriptedHost.from(context).state.withLock { state in
                    state.reads.append(id)
                    return (state.instances[id], state.failReads)
                }
                if fails { return Int32(GANTRY_UNAVAILABLE.rawValue) }
                guard let found else { return Int32(GANTRY_NOT_FOUND.rawValue) }
                bytes!.pointee = malloc(max(found.count, 1))
                memcpy(bytes!.pointee!, found, found.count)
                size!.pointee = found.count
                return 0
            },
            resolve_study: { context, id, study, capacity in
                strncpy(study!, "study-of-" + String(cString: id!), capacity)
                return 0
            },
            flag_changed: { context, flag in
                ScriptedHost.from(context).state.withLock { state in
                    let study = String(cString: flag!.pointee.study_instance_uid)
                    if state.refuseFlags || state.refusedStudies.contains(study) {
                        return Int32(GANTRY_UNAVAILABLE.rawValue)
                    }
                    state.flags.append(
                        "\(study) \(String(cString: flag!.pointee.study_id)) "
                            + String(cString: flag!.pointee.urgency))
                    return 0
                }
            },
            read_log: { context, position, page in
                let (log, refuses) = ScriptedHost.from(context).state.withLock { ($0.log, $0.refuseLog) }
                if refuses { return Int32(GANTRY_UNAVAILABLE.rawValue) }
                let page = page!.pointee
                guard let position else {
                    page.end(page.sink, String(log.count), 0)
                    return 0
                }
                let from = Int(String(cString: position)) ?? 0
                let part = log.dropFirst(from).prefix(3)
                for id in part { page.add(page.sink, id) }
                page.end(page.sink, String(from + part.count), from + part.count < log.count ? 1 : 0)
                return 0
            },
            destroy: { context in ScriptedHost.from(context).state.withLock { $0.isDestroyed = true } },
            calling_ae_title: { context, id, title, capacity in
                strncpy(title!, "SENDER-OF-" + String(cString: id!).uppercased(), capacity)
                return 0
            },
            store_instance: { context, bytes, size in
                let file = Array(UnsafeRawBufferPointer(start: bytes, count: size))
                return ScriptedHost.from(context).state.withLock { state in
                    if !state.storing.isEmpty {
                        let code = state.storing.removeFirst()
                        if code != 0 { return code }
                    }
                    state.stored.append(file)
                    return 0
                }
            },
            send_instance: { context, target, object, reason, capacity in
                let asked = "\(String(cString: target!)) \(String(cString: object!))"
                let code = ScriptedHost.from(context).state.withLock { state in
                    state.sent.append(asked)
                    return state.sending.isEmpty ? 0 : state.sending.removeFirst()
                }
                if code != 0 { strncpy(reason!, "the node said \(code)", capacity) }
                return code
            })
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> ScriptedHost {
        Unmanaged<ScriptedHost>.fromOpaque(context!).takeUnretainedValue()
    }

    /// Stores an instance as a gateway does: bytes, log, and only then the hook.
    func store(_ id: String, _ bytes: [UInt8], in gateway: OpenGateway? = nil, withBytes: Bool = true) -> Int32 {
        state.withLock { state in
            state.instances[id] = bytes
            state.log.append(id)
        }
        return gateway?.stored(id, withBytes ? bytes : nil, size: bytes.count) ?? 0
    }

    var warnings: [String] { state.withLock { $0.lines.filter { $0.level > 0 }.map(\.text) } }
}

/// An open handle, closed at the end of the test.
final class OpenGateway {
    let handle: OpaquePointer
    let host: ScriptedHost

    /// - Parameter callbacks: the host's own unless given.
    init(
        _ host: ScriptedHost, _ callbacks: gantry_host? = nil, directory: URL, worker: String, more: String = ""
    ) throws {
        self.host = host
        var callbacks = callbacks ?? host.callbacks
        var handle: OpaquePointer?
        let settings = #"{"Workers": ["\#(worker)"]\#(more)}"#
        let code = settings.withCString { settings in
            directory.path.withCString { directory in
                "test-gateway".withCString { name in
                    withUnsafePointer(to: &callbacks) { callbacks in
                        var options = gantry_options(
                            struct_size: MemoryLayout<gantry_options>.size, host: callbacks, settings_json: settings,
                            host_settings: nil, state_directory: directory, name: name)
                        return gantry_open(&options, &handle, nil, 0)
                    }
                }
            }
        }
        guard code == 0, let handle else { throw CocoaError(.featureUnsupported) }
        self.handle = handle
        #expect(gantry_host_ready(handle) == 0)
    }

    deinit { close() }

    func close() { gantry_close(handle, 5_000) }

    func stored(_ id: String, _ bytes: [UInt8]?, size: Int) -> Int32 {
        id.withCString { id in
            "SCANNER".withCString { title in
                func hand(_ pointer: UnsafeRawPointer?) -> Int32 {
                    var instance = gantry_instance(
                        struct_size: MemoryLayout<gantry_instance>.size, instance_id: id, calling_ae_title: title,
                        bytes: pointer, size: size)
                    return gantry_instance_stored(handle, &instance)
                }
                guard let bytes else { return hand(nil) }
                return bytes.withUnsafeBytes { hand($0.baseAddress) }
            }
        }
    }

    func json(_ getter: (OpaquePointer, UnsafeMutablePointer<gantry_text>) -> Int32) -> (
        code: Int32, object: [String: Any]
    ) {
        var text = gantry_text(struct_size: MemoryLayout<gantry_text>.size, bytes: nil, length: 0)
        let code = getter(handle, &text)
        defer { gantry_text_free(&text) }
        guard let bytes = text.bytes else { return (code, [:]) }
        let data = Data(bytes: bytes, count: text.length)
        let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any]
        return (code, object ?? ["text": String(decoding: data, as: UTF8.self)])
    }

    var status: [String: Any] { json { gantry_status_json($0, $1) }.object }
    var worklist: [[String: Any]] {
        json { gantry_worklist_json($0, 0, $1) }.object["studies"] as? [[String: Any]] ?? []
    }
    func study(_ name: String) -> (code: Int32, object: [String: Any]) { json { gantry_study_json($0, name, $1) } }
    func review(_ study: String, _ body: String) -> (code: Int32, object: [String: Any]) {
        json { gantry_review($0, study, body, body.utf8.count, $1) }
    }

    /// A number in the status, for example `number("outbox", "waiting")`.
    func number(_ group: String, _ name: String) -> Int { (status[group] as? [String: Any])?[name] as? Int ?? 0 }
}
