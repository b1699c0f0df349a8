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
        unsafe fill(error, errorCapacity, "options or gateway is null")
        return Code.badArgument
    }
    unsafe gateway.pointee = nil
    guard let options = unsafe Struct.read(options, size: options.pointee.struct_size),
        let callbacks = unsafe options.host
    else {
        unsafe fill(error, errorCapacity, "gantry_options: struct_size is too small, or host is null")
        return Code.badStructSize
    }
    guard let callbacks = unsafe Struct.read(callbacks, size: callbacks.pointee.struct_size) else {
        unsafe fill(error, errorCapacity, "gantry_host: struct_size is too small")
        return Code.badStructSize
    }
    let host = unsafe Host(callbacks)
    do {
        let json = try JSON()
        let hostNames = unsafe text(options.host_settings) ?? ""
        var reader = SettingsReader(
            unsafe text(options.settings_json) ?? "",
            knownNames: GatewaySettings.names + hostNames.split(separator: " ").map(String.init), json: json)
        let settings = GatewaySettings(
            &reader, defaultName: unsafe text(options.name) ?? "gateway",
            defaultStateDirectory: unsafe text(options.state_directory) ?? "/var/lib/gantry")
        for complaint in reader.complaints { host.warning(complaint) }
        let opened = try Gateway(settings: settings, host: host)
        unsafe gateway.pointee = HandleTable.open(opened)
        return Code.ok
    } catch let failure {
        unsafe fill(error, errorCapacity, "\(failure)")
        return Code.noResources
    }
}

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
    case .closed: return Code.closed
    case nil: return Code.badHandle
    }
}

@c @implementation
public func gantry_instance_stored(_ gateway: OpaquePointer?, _ instance: UnsafePointer<gantry_instance>?) -> Int32 {
    unsafe with(gateway) { gateway in
        guard let instance = unsafe instance else { return Code.badArgument }
        guard let instance = unsafe Struct.read(instance, size: instance.pointee.struct_size) else {
            return Code.badStructSize
        }
        guard let name = unsafe text(instance.instance_id, longest: 128), let id = GatewayInstanceID(name) else {
            return Code.badArgument
        }
        // A size that does not fit is as good as none: the instance is read back.
        let size = unsafe max(Int(instance.size), 0)
        let callingAETitle = unsafe text(instance.calling_ae_title, longest: 64) ?? ""
        return unsafe gateway.stored(id, callingAETitle: callingAETitle, bytes: instance.bytes, sizeBytes: size)
    }
}

@c @implementation
public func gantry_study_complete(_ gateway: OpaquePointer?, _ studyInstanceUID: UnsafePointer<CChar>?) -> Int32 {
    unsafe with(gateway) { gateway in
        guard let study = unsafe text(studyInstanceUID, longest: 64), !study.isEmpty else { return Code.badArgument }
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
    unsafe with(gateway) { gateway in
        guard let study = unsafe text(study, longest: 256), !study.isEmpty, let json = unsafe json else {
            return Code.badArgument
        }
        guard (0...65_536).contains(length) else {
            return unsafe give((Code.badArgument, "The body is longer than 64 KiB."), answer)
        }
        let body = unsafe String(decoding: UnsafeRawBufferPointer(start: json, count: length), as: UTF8.self)
        return unsafe give(gateway.review(study, body), answer)
    }
}

@c @implementation
public func gantry_status_json(_ gateway: OpaquePointer?, _ answer: UnsafeMutablePointer<gantry_text>?) -> Int32 {
    unsafe with(gateway) { gateway in unsafe give(gateway.status(), answer) }
}

@c @implementation
public func gantry_worklist_json(
    _ gateway: OpaquePointer?, _ limit: UInt32, _ answer: UnsafeMutablePointer<gantry_text>?
) -> Int32 {
    unsafe with(gateway) { gateway in
        unsafe give(gateway.worklist(limit: limit == 0 ? 500 : Int(limit)), answer)
    }
}

@c @implementation
public func gantry_study_json(
    _ gateway: OpaquePointer?, _ study: UnsafePointer<CChar>?, _ answer: UnsafeMutablePointer<gantry_text>?
) -> Int32 {
    unsafe with(gateway) { gateway in
        guard let study = unsafe text(study, longest: 256), !study.isEmpty else { return Code.badArgument }
        return unsafe give(gateway.study(study), answer)
    }
}

@c @implementation
public func gantry_metrics(
    _ gateway: OpaquePointer?, _ sink: UnsafeMutableRawPointer?,
    _ add: (@convention(c) (UnsafeMutableRawPointer?, UnsafePointer<gantry_metric>?) -> Void)?
) -> Int32 {
    unsafe with(gateway) { gateway in
        guard let add = unsafe add else { return Code.badArgument }
        for metric in gateway.metrics() { unsafe metric.withC { unsafe add(sink, $0) } }
        return Code.ok
    }
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

// MARK: Arguments

private func with(_ handle: OpaquePointer?, _ body: (Gateway) -> Int32) -> Int32 {
    switch unsafe HandleTable.find(handle) {
    case .open(let gateway): return body(gateway)
    case .closed: return Code.closed
    case nil: return Code.badHandle
    }
}

/// Nil for null and for text longer than `longest` bytes.
private func text(_ pointer: UnsafePointer<CChar>?, longest: Int = 1_048_576) -> String? {
    guard let pointer = unsafe pointer, unsafe strnlen(pointer, longest &+ 1) <= longest else { return nil }
    return unsafe String(cString: pointer)
}

/// Cuts `text` to fit, with its zero byte.
private func fill(_ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int, _ text: String) {
    guard let buffer = unsafe buffer, capacity > 0 else { return }
    let bytes = text.utf8.prefix(capacity &- 1)
    for (offset, byte) in bytes.enumerated() { unsafe buffer[offset] = CChar(bitPattern: byte) }
    unsafe buffer[bytes.count] = 0
}

/// Puts a copy from `malloc` into the caller's struct.
private func give(_ result: (code: Int32, text: String), _ answer: UnsafeMutablePointer<gantry_text>?) -> Int32 {
    guard let answer = unsafe answer else { return Code.badArgument }
    guard unsafe answer.pointee.struct_size >= MemoryLayout<gantry_text>.size else { return Code.badStructSize }
    guard let copy = unsafe strdup(result.text) else { return Code.noResources }
    unsafe answer.pointee.bytes = copy
    unsafe answer.pointee.length = strlen(copy)
    return result.code
}
