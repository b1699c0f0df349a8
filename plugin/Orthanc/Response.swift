// SPDX-License-Identifier: GPL-3.0-or-later
import COrthanc

/// What goes back to the browser.
struct Response: Sendable {
    var status: UInt16 = 200
    var type = "application/json"
    var headers: [(name: String, value: String)] = []
    var body: [UInt8]
    /// With status 405.
    var allowedMethod = ""

    static func json(_ text: String) -> Response {
        Response(
            headers: [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")], body: Array(text.utf8))
    }
}

extension Orthanc {
    func answer(_ response: Response, on output: OpaquePointer) {
        if response.status == 405 {
            // Orthanc refuses this status in the general function.
            unsafe OrthancPluginSendMethodNotAllowed(context, output, response.allowedMethod)
            return
        }
        for header in response.headers { unsafe OrthancPluginSetHttpHeader(context, output, header.name, header.value) }
        let size = UInt32(clamping: response.body.count)
        unsafe response.body.withUnsafeBytes { bytes in
            if response.status == 200 {
                unsafe OrthancPluginAnswerBuffer(context, output, bytes.baseAddress, size, response.type)
            } else {
                unsafe OrthancPluginSetHttpHeader(context, output, "Content-Type", response.type)
                let text = unsafe bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
                unsafe OrthancPluginSendHttpStatus(context, output, response.status, text, size)
            }
        }
    }
}
