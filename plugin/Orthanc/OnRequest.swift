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
    guard unsafe adapter.gateway != nil else {
        // Orthanc keeps these headers when it answers an error itself.
        unsafe adapter.orthanc.secure(output)
        return adapter.errors.notRunning
    }
    let read = unsafe Request(url, request)
    if read.bodyIsTooLong {
        unsafe adapter.orthanc.secure(output)
        return adapter.errors.bodyTooLong
    }
    unsafe adapter.orthanc.answer(adapter.route(read), on: output)
    return OrthancPluginErrorCode_Success
}
