// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import COrthanc

/// OrthancPluginRegisterIncomingCStoreInstanceFilter, registered only when the administrator wants instances to be
/// refused without a worker. Orthanc holds one lock for all associations meanwhile.
///
/// - Returns: 1 to store the instance, 0 to refuse it with A700, out of resources (PS3.4 table B.2-1).
func onIncomingInstance(_ status: UnsafeMutablePointer<UInt16>?, _ instance: OpaquePointer?) -> Int32 {
    guard let adapter = Adapter.current, let status = unsafe status,
        unsafe gantry_accepts(adapter.gateway) == Int32(truncatingIfNeeded: GANTRY_UNAVAILABLE.rawValue)
    else { return 1 }
    unsafe status.pointee = 0xA700
    return 0
}
