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
    /// Content-Security-Policy.
    var policy = Response.nothingAllowed

    static func json(_ text: String) -> Response {
        Response(headers: [("Cache-Control", "no-store")], body: Array(text.utf8))
    }

    /// Of every answer, also of errors: it is what its type says, and no other site may show it or read it.
    static let commonHeaders = [
        ("X-Content-Type-Options", "nosniff"), ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Referrer-Policy", "no-referrer"), ("X-Frame-Options", "SAMEORIGIN"),
    ]
    /// What an answer that is no page may do in a browser that shows it as one.
    static let nothingAllowed = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
}

extension Orthanc {
    func answer(_ response: Response, on output: OpaquePointer) {
        unsafe secure(output, policy: response.policy)
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

    /// Sets the headers that every answer has.
    func secure(_ output: OpaquePointer, policy: String = Response.nothingAllowed) {
        for (name, value) in Response.commonHeaders + [("Content-Security-Policy", policy)] {
            unsafe OrthancPluginSetHttpHeader(context, output, name, value)
        }
    }
}
