// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import COrthanc
import SQLite

#if canImport(Glibc)
    import Glibc
#endif

// gantry_host on Orthanc. All but `hostLog` run on Gantry's archivist thread, `hostSendInstance` on one of its own; REST
// calls are allowed on both.

private let ok = Int32(truncatingIfNeeded: GANTRY_OK.rawValue)
private let badArgument = Int32(truncatingIfNeeded: GANTRY_BAD_ARGUMENT.rawValue)
private let notFound = Int32(truncatingIfNeeded: GANTRY_NOT_FOUND.rawValue)
private let unavailable = Int32(truncatingIfNeeded: GANTRY_UNAVAILABLE.rawValue)

/// Changes read at once: some 200 KB of JSON.
private let changesPerPage = 1_000

private func adapter(_ context: UnsafeMutableRawPointer?) -> Adapter? {
    unsafe context.map { unsafe Unmanaged<Adapter>.fromOpaque($0).takeUnretainedValue() }
}

func hostLog(_ context: UnsafeMutableRawPointer?, _ level: Int32, _ line: UnsafePointer<CChar>?) {
    guard let adapter = unsafe adapter(context), let line = unsafe line else { return }
    let text = unsafe "Gantry: " + String(cString: line)
    switch level {
    case Int32(truncatingIfNeeded: GANTRY_LEVEL_INFO.rawValue): adapter.orthanc.info(text)
    case Int32(truncatingIfNeeded: GANTRY_LEVEL_WARNING.rawValue): adapter.orthanc.warning(text)
    default: adapter.orthanc.error(text)
    }
}

func hostReadInstance(
    _ context: UnsafeMutableRawPointer?, _ id: UnsafePointer<CChar>?,
    _ bytes: UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
    _ size: UnsafeMutablePointer<Int>?
) -> Int32 {
    guard let adapter = unsafe adapter(context), let id = unsafe id, let bytes = unsafe bytes, let size = unsafe size
    else { return badArgument }
    let read = unsafe adapter.orthanc.readInstance(id)
    unsafe bytes.pointee = read.bytes
    unsafe size.pointee = read.size
    switch unsafe read.code {
    case OrthancPluginErrorCode_Success: return ok
    case OrthancPluginErrorCode_UnknownResource, OrthancPluginErrorCode_InexistentItem: return notFound
    default: return unavailable
    }
}

func hostResolveStudy(
    _ context: UnsafeMutableRawPointer?, _ id: UnsafePointer<CChar>?, _ study: UnsafeMutablePointer<CChar>?,
    _ capacity: Int
) -> Int32 {
    guard let adapter = unsafe adapter(context), let id = unsafe id, let study = unsafe study else {
        return badArgument
    }
    switch unsafe adapter.orthanc.get("/instances/\(String(cString: id))/study") {
    case .notFound: return notFound
    case .failed: return unavailable
    case .ok(let text):
        guard let found = (try? JSON())?.value(text, at: "$.ID"), found.utf8.count < capacity else { return notFound }
        unsafe strncpy(study, found, capacity)
        return ok
    }
}

func hostFlagChanged(_ context: UnsafeMutableRawPointer?, _ flag: UnsafePointer<gantry_flag>?) -> Int32 {
    guard let adapter = unsafe adapter(context), let flag = unsafe flag?.pointee,
        let uid = unsafe flag.study_instance_uid, let id = unsafe flag.study_id
    else { return badArgument }
    return unsafe adapter.show(study: String(cString: id), studyInstanceUID: String(cString: uid)) ? ok : unavailable
}

func hostReadLog(
    _ context: UnsafeMutableRawPointer?, _ position: UnsafePointer<CChar>?,
    _ page: UnsafeMutablePointer<gantry_log_page>?
) -> Int32 {
    guard let adapter = unsafe adapter(context), let page = unsafe page?.pointee, let add = unsafe page.add,
        let end = unsafe page.end, let json = try? JSON()
    else { return badArgument }
    let last = adapter.orthanc.get("/changes?last").text.flatMap { json.value($0, at: "$.Last") }
    guard let last = last.flatMap({ Int64($0) }) else { return unavailable }
    guard let position = unsafe position else {
        unsafe end(page.sink, String(last), 0)
        return ok
    }
    var since = unsafe Int64(String(cString: position)) ?? 0
    if since > last {
        adapter.orthanc.warning("Gantry: Orthanc's change log is shorter than before; it is read from its beginning.")
        since = 0
    }
    guard let text = adapter.orthanc.get("/changes?since=\(since)&limit=\(changesPerPage)").text,
        let reached = json.value(text, at: "$.Last")
    else { return unavailable }
    let instances = json.select(
        """
        SELECT json_extract(one, '$.ID')
        FROM (SELECT checked_document(value) AS one FROM json_each(checked_document(?1), '$.Changes'))
        WHERE json_extract(one, '$.ChangeType') = 'NewInstance'
        """, text)
    for instance in instances { unsafe add(page.sink, instance) }
    unsafe end(page.sink, reached, json.value(text, at: "$.Done") == "0" ? 1 : 0)
    return ok
}

func hostStoreInstance(_ context: UnsafeMutableRawPointer?, _ bytes: UnsafeRawPointer?, _ size: Int) -> Int32 {
    guard let adapter = unsafe adapter(context), let bytes = unsafe bytes, size > 0 else { return badArgument }
    switch unsafe adapter.orthanc.post("/instances", bytes, count: size) {
    case .ok: return ok
    case .failed(let code) where code == OrthancPluginErrorCode_BadFileFormat.rawValue: return badArgument
    case .notFound, .failed: return unavailable
    }
}

func hostSendInstance(
    _ context: UnsafeMutableRawPointer?, _ target: UnsafePointer<CChar>?, _ uid: UnsafePointer<CChar>?,
    _ reason: UnsafeMutablePointer<CChar>?, _ capacity: Int
) -> Int32 {
    guard let adapter = unsafe adapter(context), let target = unsafe target, let uid = unsafe uid else {
        return badArgument
    }
    let failure: SendFailure
    do throws(SendFailure) {
        try unsafe adapter.forward(String(cString: uid), to: String(cString: target))
        return ok
    } catch {
        failure = error
    }
    if let reason = unsafe reason, capacity > 0 {
        unsafe strncpy(reason, failure.reason, capacity)
        unsafe reason[capacity &- 1] = 0
    }
    switch failure {
    case .gone: return notFound
    case .unknownTarget: return badArgument
    case .notNow: return unavailable
    }
}

func hostCallingAETitle(
    _ context: UnsafeMutableRawPointer?, _ id: UnsafePointer<CChar>?, _ title: UnsafeMutablePointer<CChar>?,
    _ capacity: Int
) -> Int32 {
    guard let adapter = unsafe adapter(context), let id = unsafe id, let title = unsafe title else {
        return badArgument
    }
    // Not there for what came by REST.
    switch unsafe adapter.orthanc.get("/instances/\(String(cString: id))/metadata/RemoteAET") {
    case .notFound: return notFound
    case .failed: return unavailable
    case .ok(let text):
        guard text.utf8.count < capacity else { return notFound }
        unsafe strncpy(title, text, capacity)
        return ok
    }
}

func hostDestroy(_ context: UnsafeMutableRawPointer?) {
    if let context = unsafe context { unsafe Unmanaged<Adapter>.fromOpaque(context).release() }
}
