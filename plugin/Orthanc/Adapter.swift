// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import COrthanc
import Synchronization

/// The plugin while it is loaded: Orthanc on one side, a handle of gantry.h on the other.
///
/// Sendable because the handle is set once, before any callback is registered, and gantry.h takes any thread.
@safe
final class Adapter: @unchecked Sendable {
    /// Orthanc's callbacks carry no context of ours.
    static let running = Mutex<Adapter?>(nil)

    private static let closeMilliseconds: UInt32 = 5_000

    let orthanc: Orthanc
    let settings: AdapterSettings
    let errors: ErrorCodes
    /// Set when Orthanc stops: what waits for another node gives up.
    let isClosing = Atomic<Bool>(false)
    let pace: PollPace
    private(set) var gateway: OpaquePointer?

    init(_ orthanc: Orthanc, _ settings: AdapterSettings) {
        self.orthanc = orthanc
        self.settings = settings
        pace = PollPace(httpThreads: settings.httpThreads)
        errors = unsafe ErrorCodes(orthanc.context)
    }

    static var current: Adapter? { running.withLock { $0 } }

    func open() {
        var host = unsafe gantry_host()
        unsafe host.struct_size = MemoryLayout<gantry_host>.size
        // Given back by `destroy`.
        unsafe host.context = Unmanaged.passRetained(self).toOpaque()
        unsafe host.log = hostLog
        unsafe host.read_instance = hostReadInstance
        unsafe host.resolve_study = hostResolveStudy
        unsafe host.flag_changed = hostFlagChanged
        unsafe host.read_log = hostReadLog
        unsafe host.destroy = hostDestroy
        unsafe host.calling_ae_title = hostCallingAETitle
        unsafe host.store_instance = hostStoreInstance
        unsafe host.send_instance = hostSendInstance
        var reason = [CChar](repeating: 0, count: 512)
        let code = unsafe settings.section.withCString { section in
            unsafe AdapterSettings.names.joined(separator: " ").withCString { names in
                unsafe settings.stateDirectory.withCString { directory in
                    unsafe settings.name.withCString { name in
                        unsafe withUnsafePointer(to: host) { host in
                            var options = unsafe gantry_options(
                                struct_size: MemoryLayout<gantry_options>.size, host: host, settings_json: section,
                                host_settings: names, state_directory: directory, name: name)
                            return unsafe gantry_open(&options, &gateway, &reason, reason.count)
                        }
                    }
                }
            }
        }
        if code != 0 {
            unsafe Unmanaged.passUnretained(self).release()
            let text = String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            orthanc.error("Gantry could not start: \(text). Orthanc runs without it.")
        }
    }

    /// Also the second time.
    func close() {
        isClosing.store(true, ordering: .relaxed)
        unsafe gantry_close(gateway, Adapter.closeMilliseconds)
    }
}
