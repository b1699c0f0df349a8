// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import SQLite

/// Verdicts over HTTP: given from our own page, in the name of who is signed in.
extension Adapter {
    func review(_ name: String, _ request: Request) -> Response {
        guard let json = try? JSON() else {
            return response((Int32(truncatingIfNeeded: GANTRY_NO_RESOURCES.rawValue), nil))
        }
        do throws(WebAccess.Refusal) {
            try settings.access.admitChange(request)
            guard Adapter.canBeStudy(name) else { return unknownStudy() }
            let account = try settings.access.account(of: request)
            let verdict = try sign(request.body, as: account, json)
            let first = send(verdict, to: name)
            guard first.code == Int32(truncatingIfNeeded: GANTRY_NOT_FOUND.rawValue) else { return response(first) }
            guard let found = lookUp(name) else { return unknownStudy() }
            return response(send(verdict, to: found.uid))
        } catch {
            return failure(error.status, error.sentence, hint: error.hint)
        }
    }

    private func send(_ body: String, to study: String) -> (code: Int32, text: String?) {
        unsafe text { unsafe gantry_review(gateway, study, body, body.utf8.count, $0) }
    }

    /// The verdict with the account's name and role. What the body itself says about them may only say the same; while
    /// nobody signs in, it is not even that.
    private func sign(_ body: String, as account: Account, _ json: JSON) throws(WebAccess.Refusal) -> String {
        // gantry_review says what is wrong with it.
        guard JSONBounds.incoming.fault(in: body) == nil, json.isObject(body) else { return body }
        let own = ["reviewer": account.name, "role": account.role]
        for member in json.members(of: body) where account.isAuthenticated {
            guard let value = own[member.name], member.type != "text" || member.value != value else { continue }
            throw WebAccess.Refusal(
                status: 403,
                sentence: "You are signed in as “\(account.name)” with the role “\(account.role)”: a verdict is given "
                    + "under one's own name and role.",
                hint: "Leave “reviewer” and “role” out. The setting Reviewers says which account has which role.")
        }
        let signed = json.select(
            """
            SELECT json_group_object(key, checked_document(value)) FROM (
                SELECT key, CASE type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE json_quote(value) END AS value
                FROM json_each(checked_document(?1)) WHERE key NOT IN ('reviewer', 'role')
                UNION ALL SELECT 'reviewer', json_quote(?2) UNION ALL SELECT 'role', json_quote(?3))
            """, body, account.name, account.role)
        return signed.first ?? body
    }

    // MARK: Who is asking

    /// `{"account": …, "role": …, "authenticated": …, "note": …}`: what the page says about its reader.
    func account(_ request: Request) -> Response {
        do throws(WebAccess.Refusal) {
            let account = try settings.access.account(of: request)
            guard let json = try? JSON() else {
                return response((Int32(truncatingIfNeeded: GANTRY_NO_RESOURCES.rawValue), nil))
            }
            let note =
                switch account.role {
                case Account.unauthenticated.role: Adapter.openNote
                case Account.unmappedRole: Adapter.unmappedNote
                default: ""
                }
            return .json(
                "{\"account\":\(json.quote(account.name)),\"role\":\(json.quote(account.role)),"
                    + "\"authenticated\":\(account.isAuthenticated),\"note\":\(json.quote(note))}")
        } catch {
            return failure(error.status, error.sentence, hint: error.hint)
        }
    }

    private static let openNote = """
        Authentication is off: verdicts have no name, and count only while nobody with the last word has said anything. \
        The administrator sets AuthenticationEnabled, RegisteredUsers and, in the section Gantry, Reviewers.
        """
    private static let unmappedNote = """
        This account has no role: its verdicts count only while nobody with the last word has said anything. The \
        administrator gives it one with the setting Reviewers.
        """
}
