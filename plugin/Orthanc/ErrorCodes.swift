// SPDX-License-Identifier: GPL-3.0-or-later
import COrthanc

/// The errors that Gantry's callbacks return to Orthanc, registered with their HTTP statuses: for requests that no
/// route ever sees. Orthanc answers and logs them in its own form. It does not take 405 this way.
struct ErrorCodes: Sendable {
    let bodyTooLong: OrthancPluginErrorCode
    let notRunning: OrthancPluginErrorCode

    init(_ context: UnsafeMutablePointer<OrthancPluginContext>) {
        unsafe bodyTooLong = OrthancPluginRegisterErrorCode(
            context, 1, 413, "The body is longer than any request to Gantry, 64 KiB")
        unsafe notRunning = OrthancPluginRegisterErrorCode(
            context, 2, 503, "Gantry is not running; Orthanc's log says why")
    }
}
