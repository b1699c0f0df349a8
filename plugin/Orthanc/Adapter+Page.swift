// SPDX-License-Identifier: GPL-3.0-or-later

/// The worklist page: files of the folder App, built into the library.
extension Adapter {
    /// Nothing from elsewhere, nothing inline: text from DICOM or a model cannot become a script.
    private static let policy = """
        default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
        base-uri 'none'; form-action 'none'; frame-ancestors 'self'
        """

    /// Orthanc does not tell `/gantry/app` from `/gantry/app/`, so the files are found beside both, and the page's
    /// relative links work behind a path prefix either way.
    ///
    /// - Parameter path: parts after `/gantry/`.
    func page(_ path: [String]) -> Response {
        switch path {
        case [], [""]:
            return redirection("gantry/app/")
        case ["gantry", "app"], ["gantry", "app", ""]: return redirection("../../app/")
        case ["app"], ["app", ""], ["app", "index.html"]:
            return file(PackageResources.index_html, "text/html; charset=utf-8")
        case ["app.css"], ["app", "app.css"]: return file(PackageResources.app_css, "text/css; charset=utf-8")
        case ["app.js"], ["app", "app.js"]: return file(PackageResources.app_js, "text/javascript; charset=utf-8")
        default: return failure(404, "The page has no such file.", hint: "The page is at /gantry/app/.")
        }
    }

    /// Relative, as only the browser knows the path prefix. `/gantry` and `/gantry/` look the same here, and from the
    /// second one `gantry/app/` leads to `/gantry/gantry/app/`, which leads back.
    private func redirection(_ location: String) -> Response {
        Response(
            status: 302, type: "text/plain", headers: [("Location", location), ("Cache-Control", "no-store")], body: [])
    }

    private func file(_ bytes: [UInt8], _ type: String) -> Response {
        Response(
            type: type,
            headers: [
                ("Content-Security-Policy", Adapter.policy), ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", "no-referrer"), ("Cache-Control", "no-cache"),
            ], body: bytes)
    }
}
