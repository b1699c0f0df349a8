// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

/// The one page, with styles and script inside it and a policy that allows exactly these.
struct StatusPage: Sendable {
    let html: String
    /// Content-Security-Policy (W3C CSP Level 3): nothing from elsewhere, no script and no style but the page's own.
    let policy: String

    init() {
        html = String(decoding: PackageResources.status_html, as: UTF8.self)
        policy = """
            default-src 'none'; script-src '\(Self.hash(of: "script", in: html))'; \
            style-src '\(Self.hash(of: "style", in: html))'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
            frame-ancestors 'none'
            """
    }

    /// The hash source of the text between an element's tags.
    private static func hash(of element: String, in html: String) -> String {
        guard let start = html.range(of: "<\(element)>"), let end = html.range(of: "</\(element)>") else {
            return "none"
        }
        let digest = Hash(of: Data(html[start.upperBound..<end.lowerBound].utf8)).hex
        let bytes = stride(from: 0, to: digest.utf8.count, by: 2).compactMap { offset in
            UInt8(digest.dropFirst(offset).prefix(2), radix: 16)
        }
        return "sha256-\(Data(bytes).base64EncodedString())"
    }
}
