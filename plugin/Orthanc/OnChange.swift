// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import COrthanc

/// OrthancPluginRegisterOnChangeCallback: when Orthanc is up and when it stops. No REST calls from here.
func onChange(
    _ change: OrthancPluginChangeType, _ resource: OrthancPluginResourceType, _ id: UnsafePointer<CChar>?
) -> OrthancPluginErrorCode {
    guard let adapter = Adapter.current else { return OrthancPluginErrorCode_Success }
    switch change {
    case OrthancPluginChangeType_OrthancStarted: unsafe gantry_host_ready(adapter.gateway)
    // Orthanc's own threads still run, so that a call of ours that is under way can end.
    case OrthancPluginChangeType_OrthancStopped: adapter.close()
    default: break
    }
    return OrthancPluginErrorCode_Success
}
