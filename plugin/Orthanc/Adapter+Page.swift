// SPDX-License-Identifier: GPL-3.0-or-later

/// The worklist page: files of the folder App, built into the library.
extension Adapter {
    /// Nothing from elsewhere, nothing inline: text from DICOM or a model cannot become a script.
    private static let policy = """
        default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
        base-uri 'none'; form-action 'none'; frame-ancestors 'self'
        """

    static let pageFiles: [String: (bytes: [UInt8], type: String)] = [
        "index.html": (PackageResources.index_html, "text/html; charset=utf-8"),
        "app.css": (PackageResources.app_css, "text/css; charset=utf-8"),
        "app.js": (PackageResources.app_js, "text/javascript; charset=utf-8"),
        "elements.js": (PackageResources.elements_js, "text/javascript; charset=utf-8"),
        "gateway.js": (PackageResources.gateway_js, "text/javascript; charset=utf-8"),
        "icon.svg": (PackageResources.icon_svg, "image/svg+xml"),
        "list.js": (PackageResources.list_js, "text/javascript; charset=utf-8"),
        "reviews.js": (PackageResources.reviews_js, "text/javascript; charset=utf-8"),
        "study.js": (PackageResources.study_js, "text/javascript; charset=utf-8"),
    ]

    /// Orthanc does not tell `/gantry/app` from `/gantry/app/`, so the files are found beside both, and the page's
    /// relative links work behind a path prefix either way.
    ///
    /// - Parameter path: parts after `/gantry/`.
    func page(_ path: [String]) -> Response {
        switch path {
        case [], [""]:
            return redirection("gantry/app/")
        case ["gantry", "app"], ["gantry", "app", ""]: return redirection("../../app/")
        case ["app"], ["app", ""]: return file("index.html")
        default:
            let inside = path.first == "app" ? path.dropFirst() : path[...]
            return inside.count == 1 ? file(inside.first ?? "") : noSuchFile()
        }
    }

    /// Relative, as only the browser knows the path prefix. `/gantry` and `/gantry/` look the same here, and from the
    /// second one `gantry/app/` leads to `/gantry/gantry/app/`, which leads back.
    private func redirection(_ location: String) -> Response {
        Response(
            status: 302, type: "text/plain", headers: [("Location", location), ("Cache-Control", "no-store")], body: [])
    }

    private func file(_ name: String) -> Response {
        guard let (bytes, type) = Adapter.pageFiles[name] else { return noSuchFile() }
        return Response(type: type, headers: [("Cache-Control", "no-cache")], body: bytes, policy: Adapter.policy)
    }

    private func noSuchFile() -> Response {
        failure(404, "The page has no such file.", hint: "The page is at /gantry/app/.")
    }
}
