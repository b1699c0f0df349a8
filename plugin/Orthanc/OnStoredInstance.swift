// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import COrthanc

/// OrthancPluginRegisterOnStoredInstanceCallback. Orthanc holds one lock for all associations meanwhile: hand over and
/// return. Its result only reaches the log, so nothing is reported here; what was missed is found in the change log.
func onStoredInstance(_ instance: OpaquePointer?, _ id: UnsafePointer<CChar>?) -> OrthancPluginErrorCode {
    guard let adapter = Adapter.current else { return OrthancPluginErrorCode_Success }
    let context = unsafe adapter.orthanc.context
    var stored = unsafe gantry_instance()
    unsafe stored.struct_size = MemoryLayout<gantry_instance>.size
    unsafe stored.instance_id = id
    unsafe stored.calling_ae_title = OrthancPluginGetInstanceRemoteAet(context, instance)
    unsafe stored.bytes = OrthancPluginGetInstanceData(context, instance)
    let size = unsafe OrthancPluginGetInstanceSize(context, instance)
    if size > 0 { unsafe stored.size = Int(size) } else { unsafe stored.bytes = nil }
    unsafe gantry_instance_stored(adapter.gateway, &stored)
    return OrthancPluginErrorCode_Success
}
