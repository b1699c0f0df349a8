// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import SQLite
import Wire
import ZeroMQ

#if canImport(Glibc)
    import Glibc
#endif

// The functions of gantry.h. The header documents them; here arguments are checked.

@c @implementation
public func gantry_abi_version() -> Int32 { GANTRY_ABI_VERSION }

@c @implementation
public func gantry_version() -> UnsafePointer<CChar>? {
    unsafe UnsafeRawPointer(Release.text.utf8Start).assumingMemoryBound(to: CChar.self)
}

@c @implementation
public func gantry_open(
    _ options: UnsafePointer<gantry_options>?, _ gateway: UnsafeMutablePointer<OpaquePointer?>?,
    _ error: UnsafeMutablePointer<CChar>?, _ errorCapacity: Int
) -> Int32 {
    guard let options = unsafe options, let gateway = unsafe gateway else {
        unsafe Text.fill(error, errorCapacity, "options or gateway is null")
        return Code.badArgument
    }
    unsafe gateway.pointee = nil
    guard let options = unsafe Struct.read(options, size: options.pointee.struct_size) else {
        unsafe Text.fill(error, errorCapacity, "gantry_options: struct_size is too small")
        return Code.badStructSize
    }
    guard let callbacks = unsafe options.host else {
        unsafe Text.fill(error, errorCapacity, "gantry_options: host is null")
        return Code.badArgument
    }
    guard let callbacks = unsafe Struct.read(callbacks, size: callbacks.pointee.struct_size) else {
        unsafe Text.fill(error, errorCapacity, "gantry_host: struct_size is too small")
        return Code.badStructSize
    }
    let texts: Texts
    switch unsafe Texts.read(options, callbacks) {
    case .success(let read): texts = read
    case .failure(let wrong):
        unsafe Text.fill(error, errorCapacity, wrong.sentence)
        return Code.badArgument
    }
    do {
        let json = try JSON()
        let host = unsafe try Host(callbacks)
        var reader = SettingsReader(
            texts.settings, knownNames: GatewaySettings.names + texts.hostSettings, json: json)
        let settings = GatewaySettings(
            &reader, defaultName: texts.name, defaultStateDirectory: texts.stateDirectory)
        for complaint in reader.complaints { host.warning(complaint) }
        do {
            let opened = try Gateway(settings: settings, host: host)
            host.flushLog(timeoutMilliseconds: openingLogMilliseconds)
            unsafe gateway.pointee = HandleTable.open(opened)
            return Code.ok
        } catch {
            _ = host.stopLog(timeoutMilliseconds: openingLogMilliseconds)
            throw error
        }
    } catch let failure {
        unsafe Text.fill(error, errorCapacity, "\(failure)")
        return Code.noResources
    }
}

/// How long opening waits for a host that takes its lines slowly.
private let openingLogMilliseconds: Int64 = 1_000

@c @implementation
public func gantry_host_ready(_ gateway: OpaquePointer?) -> Int32 {
    unsafe with(gateway) { gateway in
        gateway.hostReady()
        return Code.ok
    }
}

@c @implementation
public func gantry_close(_ gateway: OpaquePointer?, _ timeoutMilliseconds: UInt32) -> Int32 {
    switch unsafe HandleTable.close(gateway) {
    case .open(let gateway):
        return gateway.close(timeoutMilliseconds: Int64(timeoutMilliseconds)) ? Code.ok : Code.timeout
    case .busy: return Code.wrongThread
    case .closed: return Code.closed
    case nil: return Code.badHandle
    }
}

@c @implementation
public func gantry_instance_stored(_ gateway: OpaquePointer?, _ instance: UnsafePointer<gantry_instance>?) -> Int32 {
    let began = Clock.steadyNanoseconds()
    return unsafe with(gateway) { gateway in
        guard let instance = unsafe instance else { return Code.badArgument }
        guard let instance = unsafe Struct.read(instance, size: instance.pointee.struct_size) else {
            return Code.badStructSize
        }
        guard let name = unsafe Text.read(instance.instance_id, longest: 128), let id = GatewayInstanceID(name) else {
            return Code.badArgument
        }
        // A size that does not fit is as good as none: the instance is read back.
        let size = unsafe max(Int(instance.size), 0)
        let callingAETitle = unsafe Text.read(instance.calling_ae_title, longest: 64) ?? ""
        return unsafe gateway.stored(
            id, callingAETitle: callingAETitle, bytes: instance.bytes, sizeBytes: size, began: began)
    }
}

@c @implementation
public func gantry_study_complete(_ gateway: OpaquePointer?, _ studyInstanceUID: UnsafePointer<CChar>?) -> Int32 {
    unsafe with(gateway) { gateway in
        guard let study = unsafe Text.read(studyInstanceUID, longest: 64), isUID(study) else { return Code.badArgument }
        return gateway.studyComplete(study)
    }
}

@c @implementation
public func gantry_reconcile(_ gateway: OpaquePointer?) -> Int32 {
    unsafe with(gateway) { gateway in
        gateway.reconcile()
        return Code.ok
    }
}

@c @implementation
public func gantry_review(
    _ gateway: OpaquePointer?, _ study: UnsafePointer<CChar>?, _ json: UnsafePointer<CChar>?, _ length: Int,
    _ answer: UnsafeMutablePointer<gantry_text>?
) -> Int32 {
    unsafe answering(gateway, answer) { gateway in
        guard let study = unsafe Text.read(study, longest: 256), !study.isEmpty, let json = unsafe json else {
            return (Code.badArgument, "The study or the body is missing.")
        }
        guard (0...65_536).contains(length) else { return (Code.badArgument, "The body is longer than 64 KiB.") }
        let body = unsafe String(decoding: UnsafeRawBufferPointer(start: json, count: length), as: UTF8.self)
        return gateway.review(study, body)
    }
}

@c @implementation
public func gantry_status_json(_ gateway: OpaquePointer?, _ answer: UnsafeMutablePointer<gantry_text>?) -> Int32 {
    unsafe answering(gateway, answer) { $0.status() }
}

@c @implementation
public func gantry_worklist_json(
    _ gateway: OpaquePointer?, _ limit: UInt32, _ answer: UnsafeMutablePointer<gantry_text>?
) -> Int32 {
    unsafe answering(gateway, answer) { $0.worklist(limit: limit == 0 ? 500 : Int(limit)) }
}

@c @implementation
public func gantry_worklist_version(_ gateway: OpaquePointer?, _ version: UnsafeMutablePointer<UInt64>?) -> Int32 {
    unsafe with(gateway) { gateway in
        guard let version = unsafe version else { return Code.badArgument }
        unsafe version.pointee = gateway.worklistVersion
        return Code.ok
    }
}

@c @implementation
public func gantry_priors_json(
    _ gateway: OpaquePointer?, _ study: UnsafePointer<CChar>?, _ answer: UnsafeMutablePointer<gantry_text>?
) -> Int32 {
    unsafe answering(gateway, answer) { gateway in
        guard let study = unsafe Text.read(study, longest: 256), !study.isEmpty else {
            return (Code.badArgument, "The study is missing.")
        }
        return gateway.priors(study)
    }
}

@c @implementation
public func gantry_study_json(
    _ gateway: OpaquePointer?, _ study: UnsafePointer<CChar>?, _ answer: UnsafeMutablePointer<gantry_text>?
) -> Int32 {
    unsafe answering(gateway, answer) { gateway in
        guard let study = unsafe Text.read(study, longest: 256), !study.isEmpty else {
            return (Code.badArgument, "The study is missing.")
        }
        return gateway.study(study)
    }
}

@c @implementation
public func gantry_metrics(
    _ gateway: OpaquePointer?, _ sink: UnsafeMutableRawPointer?,
    _ add: (@convention(c) (UnsafeMutableRawPointer?, UnsafePointer<gantry_metric>?) -> Void)?
) -> Int32 {
    guard let add = unsafe add else { return Code.badArgument }
    var metrics: [Metric] = []
    let code = unsafe with(gateway) { gateway in
        metrics = gateway.metrics()
        return Code.ok
    }
    // Outside of the call: the host may even close the gateway from within `add`.
    for metric in metrics { unsafe metric.withC { unsafe add(sink, $0) } }
    return code
}

@c @implementation
public func gantry_accepts(_ gateway: OpaquePointer?) -> Int32 {
    unsafe with(gateway) { $0.accepts() ? Code.ok : Code.unavailable }
}

@c @implementation
public func gantry_text_free(_ text: UnsafeMutablePointer<gantry_text>?) {
    guard let text = unsafe text, unsafe text.pointee.struct_size >= MemoryLayout<gantry_text>.size else { return }
    unsafe free(text.pointee.bytes)
    unsafe text.pointee.bytes = nil
    unsafe text.pointee.length = 0
}

// MARK: Handles and answers

private func with(_ handle: OpaquePointer?, _ body: (Gateway) -> Int32) -> Int32 {
    switch unsafe HandleTable.enter(handle) {
    case .open(let gateway):
        defer { gateway.leave() }
        return body(gateway)
    case .closed, .busy: return Code.closed
    case nil: return Code.badHandle
    }
}

/// Empties the answer, so that it can be freed whatever happens, and puts what `body` gives into it.
private func answering(
    _ handle: OpaquePointer?, _ answer: UnsafeMutablePointer<gantry_text>?,
    _ body: (Gateway) -> (code: Int32, text: String)
) -> Int32 {
    guard let answer = unsafe answer else { return Code.badArgument }
    guard unsafe answer.pointee.struct_size >= MemoryLayout<gantry_text>.size else { return Code.badStructSize }
    unsafe answer.pointee.bytes = nil
    unsafe answer.pointee.length = 0
    return unsafe with(handle) { gateway in
        let (code, text) = body(gateway)
        guard let copy = unsafe strdup(text) else { return Code.noResources }
        unsafe answer.pointee.bytes = copy
        unsafe answer.pointee.length = strlen(copy)
        return code
    }
}

/// PS3.5 section 9.1, without the rules for the components.
private func isUID(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
        && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: ".") }
}
