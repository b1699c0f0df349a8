// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import COrthanc

#if canImport(Glibc)
    import Glibc
#endif

// The four functions that Orthanc looks for. None of them ever makes Orthanc's start fail: images come first.

private let pluginName: StaticString = "gantry"

@c public func OrthancPluginInitialize(_ context: UnsafeMutablePointer<OrthancPluginContext>?) -> Int32 {
    guard let context = unsafe context else { return 0 }
    let orthanc = unsafe Orthanc(context)
    unsafe OrthancPluginSetDescription(
        context, "Triage flags for radiologists, from a model that learns at this hospital.")
    guard unsafe OrthancPluginCheckVersion(context) == 1 else {
        orthanc.error("Gantry needs Orthanc \(Orthanc.leastVersion) or newer. It stays off; Orthanc runs without it.")
        return 0
    }
    guard let settings = try? AdapterSettings(orthanc) else {
        orthanc.error("Gantry cannot start: memory is exhausted. Orthanc runs without it.")
        return 0
    }
    guard settings.isEnabled else {
        orthanc.warning("Gantry is switched off (setting Enable).")
        return 0
    }
    if settings.switchesNagleOff {
        // DCMTK reads this variable when an association begins; its default costs about 44 ms for each instance.
        unsafe setenv("TCP_NODELAY", "1", 0)
        orthanc.info("Gantry has set TCP_NODELAY=1 for DCMTK (setting TcpNoDelay).")
    }
    let adapter = Adapter(orthanc, settings)
    adapter.open()
    Adapter.running.withLock { $0 = adapter }
    unsafe OrthancPluginRegisterOnStoredInstanceCallback(context, onStoredInstance)
    unsafe OrthancPluginRegisterOnChangeCallback(context, onChange)
    unsafe OrthancPluginRegisterRestCallbackNoLock(context, "/gantry(/.*)?", onRequest)
    unsafe OrthancPluginRegisterRefreshMetricsCallback(context, onRefreshMetrics)
    if settings.refusesWithoutWorker {
        unsafe OrthancPluginRegisterIncomingCStoreInstanceFilter(context, onIncomingInstance)
    }
    unsafe OrthancPluginSetRootUri(context, "../gantry/app/")
    unsafe OrthancPluginExtendOrthancExplorer(
        context, String(decoding: PackageResources.explorer_js, as: UTF8.self))
    return 0
}

@c public func OrthancPluginFinalize() {
    let adapter = Adapter.running.withLock { running in
        defer { running = nil }
        return running
    }
    adapter?.close()
}

@c public func OrthancPluginGetName() -> UnsafePointer<CChar>? {
    unsafe UnsafeRawPointer(pluginName.utf8Start).assumingMemoryBound(to: CChar.self)
}

@c public func OrthancPluginGetVersion() -> UnsafePointer<CChar>? { unsafe gantry_version() }
