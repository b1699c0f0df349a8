// SPDX-License-Identifier: GPL-3.0-or-later
import COrthanc

/// OrthancPluginRegisterRestCallbackNoLock for everything below `/gantry`: Orthanc has checked the user, and holds no
/// lock of its own meanwhile.
func onRequest(
    _ output: OpaquePointer?, _ url: UnsafePointer<CChar>?, _ request: UnsafePointer<OrthancPluginHttpRequest>?
) -> OrthancPluginErrorCode {
    guard let output = unsafe output, let url = unsafe url, let request = unsafe request else {
        return OrthancPluginErrorCode_InternalError
    }
    // Orthanc is stopping.
    guard let adapter = Adapter.current else { return OrthancPluginErrorCode_BadSequenceOfCalls }
    guard unsafe adapter.gateway != nil else { return adapter.errors.unavailable }
    let response = unsafe adapter.route(Request(url, request))
    if response.status == 405 {
        // Orthanc refuses this status in the function that sends a body.
        unsafe OrthancPluginSetHttpHeader(adapter.orthanc.context, output, "Allow", response.allowedMethod)
        unsafe OrthancPluginSetHttpErrorDetails(
            adapter.orthanc.context, output, "Use \(response.allowedMethod).", 0)
        return adapter.errors.methodNotAllowed
    }
    unsafe adapter.orthanc.answer(response, on: output)
    return OrthancPluginErrorCode_Success
}
