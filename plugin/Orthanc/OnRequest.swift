// SPDX-License-Identifier: GPL-3.0-or-later
import COrthanc

/// OrthancPluginRegisterRestCallbackNoLock for everything below `/gantry`: Orthanc has checked the user, and holds no
/// lock of its own meanwhile.
func onRequest(
    _ output: OpaquePointer?, _ url: UnsafePointer<CChar>?, _ request: UnsafePointer<OrthancPluginHttpRequest>?
) -> OrthancPluginErrorCode {
    guard let adapter = Adapter.current, let output = unsafe output, let url = unsafe url,
        let request = unsafe request
    else { return OrthancPluginErrorCode_InternalError }
    let read = unsafe Request(url, request)
    unsafe adapter.orthanc.answer(adapter.route(read), on: output)
    return OrthancPluginErrorCode_Success
}
