// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite

/// Which requests may change something, and in whose name they speak.
///
/// A browser sends a user's password along with whatever any page makes it send, so it must also say that the page is
/// ours: with Origin, which a page cannot choose (RFC 6454 section 7), and with a media type that a form cannot have.
struct WebAccess: Sendable {
    static let names = ["Reviewers", "AllowedOrigins", "TrustedProxy"]

    /// Why a request is not taken.
    struct Refusal: Error {
        var status: UInt16
        var sentence: String
        var hint: String
    }

    /// Whether Orthanc asks everybody for a password.
    private let authenticates: Bool
    private let scheme: String
    /// Roles by account.
    private let roles: [String: String]
    /// What browsers call this gateway when they come through a proxy.
    private let origins: Set<String>
    private let proxy: TrustedProxy?

    /// - Parameters:
    ///   - reader: of the section Gantry.
    ///   - configuration: Orthanc's, as JSON.
    init(_ reader: inout SettingsReader, configuration: String, json: JSON) {
        // As Orthanc itself decides it: a password is asked for unless told otherwise, or nobody else can come.
        let remote = json.value(configuration, at: "$.RemoteAccessAllowed") == "1"
        authenticates = json.value(configuration, at: "$.AuthenticationEnabled").map { $0 == "1" } ?? remote
        scheme = json.value(configuration, at: "$.SslEnabled") == "1" ? "https" : "http"
        roles = reader.texts(
            "Reviewers", expected: "an object of roles by account, such as {\"dr.smith\": \"radiologist\"}",
            accepts: { (1...64).contains($0.utf8.count) && $0.lowercased() != Account.unauthenticated.role })
        let origins = reader.list(
            "AllowedOrigins", default: [], expected: "a list of origins, such as https://pacs.example.org",
            accepts: { WebAccess.normal($0) != nil })
        self.origins = Set(origins.compactMap(WebAccess.normal))
        proxy = TrustedProxy(&reader)
    }

    // MARK: From our own page

    /// - Throws: `Refusal` of a request that another site may have made.
    func admitChange(_ request: Request) throws(Refusal) {
        let type = (request.headers["content-type"] ?? "").prefix { $0 != ";" }
        let name = type.lowercased().filter { $0 != " " && $0 != "\t" }
        guard name == "application/json" else {
            throw Refusal(
                status: 415, sentence: "The body's type is not application/json.",
                hint: "Send JSON with the header Content-Type: application/json.")
        }
        let site = request.headers["sec-fetch-site"] ?? "same-origin"
        guard site == "same-origin" else { throw WebAccess.otherSite }
        guard let text = request.headers["origin"] else {
            throw Refusal(
                status: 403, sentence: "The request does not say where it comes from.",
                hint: "Open the worklist page itself. A script sends the header Origin: this gateway's own address.")
        }
        guard let origin = WebAccess.normal(text) else { throw WebAccess.otherSite }
        let own = request.headers["host"].flatMap { WebAccess.normal("\(scheme)://\($0)") }
        guard origin == own || origins.contains(origin) else { throw WebAccess.otherSite }
    }

    private static let otherSite = Refusal(
        status: 403, sentence: "Reviews are not taken from other sites.",
        hint: "Open the worklist page itself. Behind a proxy, its address belongs into the setting AllowedOrigins.")

    /// An origin (RFC 6454 section 6.2) in small letters and without its scheme's own port; nil for anything else, such as
    /// “null”.
    private static func normal(_ origin: String) -> String? {
        let text = origin.lowercased()
        for (scheme, port) in [("http://", ":80"), ("https://", ":443")] where text.hasPrefix(scheme) {
            let host = text.dropFirst(scheme.utf8.count)
            let isPlain = host.utf8.allSatisfy { byte in
                (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || "-._~:[]".utf8.contains(byte)
            }
            guard (1...255).contains(host.utf8.count), isPlain else { return nil }
            return scheme + (host.hasSuffix(port) ? host.dropLast(port.utf8.count) : host)
        }
        return nil
    }

    // MARK: In whose name

    /// Whom Orthanc or the proxy has authenticated.
    ///
    /// - Throws: `Refusal` when one of them should have named somebody and did not.
    func account(of request: Request) throws(Refusal) -> Account {
        if let proxy, let proof = request.headers[proxy.secretHeader] {
            guard proxy.proves(proof) else {
                throw Refusal(
                    status: 403, sentence: "The proxy's secret is not the one in this gateway's file.",
                    hint: "Compare the proxy's header \(proxy.secretHeader) with the file of the setting TrustedProxy.")
            }
            return try account(
                request.headers[proxy.userHeader],
                orElse: "The proxy did not say who is signed in.",
                hint: "It must put the account into the header \(proxy.userHeader).")
        }
        guard authenticates else { return .unauthenticated }
        return try account(
            request.headers["authorization"].flatMap(BasicCredentials.user),
            orElse: "The account's name cannot be read.",
            hint: "Names of accounts are 1 to 256 bytes of UTF-8 without control characters.")
    }

    private func account(_ name: String?, orElse sentence: String, hint: String) throws(Refusal) -> Account {
        guard let name, (1...256).contains(name.utf8.count), name.unicodeScalars.allSatisfy({ $0.value >= 0x20 }) else {
            throw Refusal(status: 403, sentence: sentence, hint: hint)
        }
        return Account(name: name, role: roles[name] ?? Account.unmappedRole)
    }
}
