// SPDX-License-Identifier: GPL-3.0-or-later

/// The worklist page: files of the folder App, built into the library.
extension Adapter {
    /// Nothing from elsewhere, nothing inline: text from DICOM or a model cannot become a script.
    private static let policy = """
        default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
        base-uri 'none'; form-action 'none'; frame-ancestors 'self'
        """

    /// - Parameter path: parts after `/gantry/`, beginning with `app`; others are shown the way to it.
    func page(_ path: [String]) -> Response {
        guard path.first == "app", path.count == 2, let name = path.last else {
            // Relative, so that it also works behind a path prefix.
            let location = path.isEmpty ? "gantry/app/" : "app/"
            let isRoot = path.isEmpty || path == [""] || path == ["app"]
            return isRoot ? redirect(to: location) : failure(404, "The page has no such file.")
        }
        switch name {
        case "", "index.html": return file(PackageResources.index_html, "text/html; charset=utf-8")
        case "app.css": return file(PackageResources.app_css, "text/css; charset=utf-8")
        case "app.js": return file(PackageResources.app_js, "text/javascript; charset=utf-8")
        default: return failure(404, "The page has no such file.")
        }
    }

    private func file(_ bytes: [UInt8], _ type: String) -> Response {
        Response(
            type: type,
            headers: [
                ("Content-Security-Policy", Adapter.policy), ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", "no-referrer"), ("Cache-Control", "no-cache"),
            ], body: bytes)
    }

    private func redirect(to location: String) -> Response {
        Response(status: 302, type: "text/plain", headers: [("Location", location)], body: [])
    }
}
