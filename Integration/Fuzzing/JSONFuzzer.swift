// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import Glibc
import SQLite

@testable import GatewayCore

// libFuzzer targets over everything that takes JSON, on a thread with as small a stack as a gateway may give to its
// requests: whatever the text is, the call must return, and what is shown afterwards must be JSON.
//
//   FUZZ_REVIEW    the body of gantry_review
//   FUZZ_FLAG      a flag from a worker; or, by the first byte, what a database holds for a flag or a review
//   FUZZ_SETTINGS  gantry_options.settings_json, as far as nothing is opened

private let stackBytes = 65_536

/// One thread that runs what it is given.
private final class SmallThread: @unchecked Sendable {
    private let begun = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    private let done = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    private var work: () -> Void = {}

    init() {
        sem_init(begun, 0, 0)
        sem_init(done, 0, 0)
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        precondition(pthread_attr_setstacksize(&attributes, stackBytes) == 0)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, &attributes,
            { context in
                let small = Unmanaged<SmallThread>.fromOpaque(context!).takeUnretainedValue()
                while true {
                    sem_wait(small.begun)
                    small.work()
                    sem_post(small.done)
                }
            }, Unmanaged.passUnretained(self).toOpaque())
        precondition(code == 0)
    }

    /// Runs `body` there and waits for it.
    func run(_ body: () -> Void) {
        withoutActuallyEscaping(body) { body in
            work = body
            sem_post(begun)
            while sem_wait(done) != 0 {}
            work = {}
        }
    }
}

private let small = SmallThread()
/// In memory; left behind when the process ends.
private let folder: String = {
    var template = Array("/dev/shm/gantry-json-XXXXXX".utf8CString)
    precondition(mkdtemp(&template) != nil)
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}()

private func readInstance(
    _: UnsafeMutableRawPointer?, _: UnsafePointer<CChar>?, _: UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
    _: UnsafeMutablePointer<Int>?
) -> Int32 { Code.notFound }

nonisolated(unsafe) private let callbacks: gantry_host = {
    var host = gantry_host()
    host.struct_size = MemoryLayout<gantry_host>.size
    host.read_instance = readInstance
    return host
}()

private let sound = """
    {"urgency":"critical","state":"final","gateway_instance":"i","model":{"version":"v"},"arrived_at_ms":1,
    "findings":[{"finding":"bleeding","positive":true,"probability":0.9}],"instances":{"received":1},
    "patient":{"id":"P"}}
    """

private func message(_ json: String, study: String = "1.2") -> Store.FlagMessage {
    Store.FlagMessage(
        flag: "f-\(study)", revision: 1, studyInstanceUID: study, json: json, worker: "w", workerState: "s")
}

private func store() throws -> Store {
    let store = Store(directory: folder, host: try Host(callbacks))
    _ = try store.save(flags: [message(sound), message(sound, study: "1.3")])
    return store
}

private func mustBeJSON(_ text: String) {
    precondition(JSONBounds.document.fault(in: text) == nil, "what is shown is no JSON: \(text.prefix(200))")
}

#if FUZZ_REVIEW

    nonisolated(unsafe) private let gateway: OpaquePointer = {
        do {
            try store().close()
        } catch {
            preconditionFailure("\(error)")
        }
        var host = callbacks
        var options = gantry_options()
        options.struct_size = MemoryLayout<gantry_options>.size
        var handle: OpaquePointer?
        let code = withUnsafePointer(to: &host) { host in
            folder.withCString { directory in
                "{\"Workers\": [\"ipc:///dev/shm/nobody\"]}".withCString { settings in
                    options.host = host
                    options.state_directory = directory
                    options.settings_json = settings
                    return gantry_open(&options, &handle, nil, 0)
                }
            }
        }
        guard code == 0, let handle else { preconditionFailure("gantry_open: \(code)") }
        return handle
    }()

    private func test(_ bytes: UnsafeRawBufferPointer) {
        var text = gantry_text()
        text.struct_size = MemoryLayout<gantry_text>.size
        // libFuzzer's first input is empty and has no address.
        guard let body = bytes.bindMemory(to: CChar.self).baseAddress else { return }
        let code = gantry_review(gateway, "1.2", body, bytes.count, &text)
        precondition(code == Code.ok || code == Code.badArgument, "code \(code)")
        if code == Code.ok, let answer = text.bytes {
            mustBeJSON(String(cString: answer))
            // What a verdict leaves behind is shown, and does not pile up.
            var study = gantry_text()
            study.struct_size = MemoryLayout<gantry_text>.size
            precondition(gantry_study_json(gateway, "1.2", &study) == Code.ok)
            if let shown = study.bytes { mustBeJSON(String(cString: shown)) }
            gantry_text_free(&study)
            if let database = try? Connection(path: folder + "/gateway.sqlite") {
                _ = try? database.run("DELETE FROM review")
            }
        }
        gantry_text_free(&text)
    }

#elseif FUZZ_FLAG

    private let kept: Store = {
        do { return try store() } catch { preconditionFailure("\(error)") }
    }()

    private func test(_ bytes: UnsafeRawBufferPointer) {
        guard let choice = bytes.first else { return }
        let text = String(decoding: bytes.dropFirst(), as: UTF8.self)
        do throws(SQLiteError) {
            switch choice & 3 {
            case 0, 1:
                let (answers, _) = try kept.save(flags: [message(text)])
                // Nothing has changed.
                if case .unreadable = answers.first { return }
            case 2:
                try kept.write { database throws(SQLiteError) in
                    try database.run("UPDATE flag SET json = ? WHERE flag = 'f-1.2'", .text(text))
                }
            default:
                try kept.write { database throws(SQLiteError) in
                    try database.run(
                        """
                        INSERT OR REPLACE INTO review (review, study, at_ms, state, reason, json)
                        SELECT 'r', id, 1, 'accepted', '', ? FROM study WHERE study_instance_uid = '1.2'
                        """, .text(text))
                }
            }
            // What is no JSON is shown in one way only: an eighth of it is enough.
            if JSONBounds.incoming.fault(in: text) != nil, choice & 0x70 != 0 { return }
            mustBeJSON(try kept.worklist(since: 0, limit: 10))
            mustBeJSON(try kept.study("1.2") ?? "none")
            mustBeJSON(try kept.priors(of: "1.3") ?? "none")
            for kind in [Verdict.Kind.agree, .withdraw] {
                let verdict = Verdict(finding: "bleeding", kind: kind, reviewer: "A", role: "r", modelVersion: "")
                _ = try kept.review(verdict, of: "1.2", id: "v")
                try kept.write { database throws(SQLiteError) in
                    try database.run("DELETE FROM review WHERE review = 'v'")
                }
            }
            _ = try kept.flagToShow(after: "")
            _ = try kept.giveBackUnfinished(workerState: "s")
        } catch {
            preconditionFailure("\(error)")
        }
    }

#else

    nonisolated(unsafe) private let json: JSON = {
        do { return try JSON() } catch { preconditionFailure("\(error)") }
    }()

    private func test(_ bytes: UnsafeRawBufferPointer) {
        let text = String(decoding: bytes, as: UTF8.self)
        var reader = SettingsReader(text, knownNames: GatewaySettings.names, json: json)
        let settings = GatewaySettings(&reader, defaultName: "g", defaultStateDirectory: "/nowhere")
        precondition(!settings.name.isEmpty && !settings.workers.isEmpty)
        for line in reader.complaints { precondition(!line.isEmpty) }
    }

#endif

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJSON(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    small.run { test(UnsafeRawBufferPointer(start: start, count: count)) }
    return 0
}
