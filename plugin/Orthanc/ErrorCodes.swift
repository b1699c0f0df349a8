// SPDX-License-Identifier: GPL-3.0-or-later
import COrthanc

/// The errors that Gantry's callbacks return to Orthanc, registered with their HTTP statuses: Orthanc then answers and
/// logs in its own form. Everything else is answered by the routes themselves.
struct ErrorCodes: Sendable {
    let methodNotAllowed: OrthancPluginErrorCode
    let unavailable: OrthancPluginErrorCode

    init(_ context: UnsafeMutablePointer<OrthancPluginContext>) {
        unsafe methodNotAllowed = OrthancPluginRegisterErrorCode(
            context, 1, 405, "Gantry does not take this method here")
        unsafe unavailable = OrthancPluginRegisterErrorCode(
            context, 2, 503, "Gantry is not running; Orthanc's log says why")
    }
}
