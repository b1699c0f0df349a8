// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite
import Wire

extension Store {
    /// Commits a verdict, which is then sent to the worker until it answers.
    ///
    /// - Returns: the review as JSON, or why it was not taken.
    func review(
        _ verdict: Verdict, of name: String, id: String
    ) throws(SQLiteError) -> Result<String, ReviewError> {
        defer { noteWorklistChange() }
        return try write(durable: true) { database throws(SQLiteError) in
            let studies = try database.rows(
                """
                SELECT id, study_instance_uid FROM study
                WHERE (study_instance_uid = ?1 OR gateway_study = ?1) AND study_instance_uid IS NOT NULL
                """, [.text(name)]
            ) { (id: $0.integer(0), uid: $0.text(1) ?? "") }
            guard let study = studies.first else { return .failure(.unknownStudy) }
            let shown = try database.first(
                """
                SELECT f.model_version, json_extract(checked_json(each.value), '$.positive')
                FROM flag f, json_each(checked_json(f.json), '$.findings') AS each
                WHERE f.study = ?1 AND json_extract(checked_json(each.value), '$.finding') = ?2
                    AND (?3 = '' OR f.model_version = ?3)
                ORDER BY f.flagged_at_ms DESC LIMIT 1
                """, .integer(study.id), .text(verdict.finding), .text(verdict.modelVersion)
            ) { (version: $0.text(0) ?? "", positive: $0.integer(1) != 0) }
            guard let shown else {
                let asked = verdict.modelVersion.isEmpty ? "" : " by that model version"
                return .failure(.badRequest("This study has no flag for this finding\(asked)."))
            }
            var withdrawn = ""
            if verdict.kind == .withdraw {
                guard let standing = try Store.standingReview(verdict, study: study.id, in: database) else {
                    return .failure(.badRequest("This reviewer has said nothing about this finding that stands."))
                }
                withdrawn = standing
            }
            // In the order in which they were given, also within one millisecond.
            let last = try database.first("SELECT max(at_ms) FROM review WHERE study = ?", .integer(study.id)) {
                $0.integer(0)
            }
            let now = max(Clock.nowMilliseconds(), (last ?? 0) &+ 1)
            let text =
                try database.first(
                    """
                    SELECT json_object('review', ?1, 'study', ?2, 'finding', ?3, 'verdict', ?4, 'reviewer', ?5, 'role', ?6,
                        'at_ms', ?7, 'model_version', ?8, 'positive', checked_json(?9), 'withdraws', nullif(?10, ''))
                    """, .text(id), .text(study.uid), .text(verdict.finding), .text(verdict.kind.rawValue),
                    .text(verdict.reviewer), .text(verdict.role), .integer(now), .text(shown.version),
                    .text(shown.positive ? "true" : "false"), .text(withdrawn)
                ) { $0.text(0) ?? "" } ?? ""
            try database.run(
                "INSERT INTO review (review, study, at_ms, state, reason, json) VALUES (?, ?, ?, 'pending', '', ?)",
                .text(id), .integer(study.id), .integer(now), .text(text))
            return .success(text)
        }
    }

    /// The last review of the verdict's reviewer and finding that was neither withdrawn nor refused. Somebody whom nobody
    /// has authenticated is not the account of the same name.
    private static func standingReview(
        _ verdict: Verdict, study: Int64, in database: Connection
    ) throws(SQLiteError) -> String? {
        try database.first(
            """
            WITH readable AS MATERIALIZED (SELECT review, at_ms, checked_json(json) AS j FROM review
                    WHERE study = ?1 AND state <> 'refused'),
                said AS (SELECT review, at_ms, json_extract(j, '$.withdraws') AS withdraws FROM readable
                    WHERE json_extract(j, '$.finding') = ?2 AND json_extract(j, '$.reviewer') = ?3
                    AND (ifnull(json_extract(j, '$.role'), '') = '\(Verdict.unauthenticated)') =
                        (?4 = '\(Verdict.unauthenticated)'))
            SELECT review FROM said WHERE withdraws IS NULL
                AND review NOT IN (SELECT withdraws FROM said WHERE withdraws IS NOT NULL)
            ORDER BY at_ms DESC LIMIT 1
            """, .integer(study), .text(verdict.finding), .text(verdict.reviewer), .text(verdict.role)
        ) { $0.text(0) } ?? nil
    }

    /// Reviews that no worker has acknowledged, oldest first.
    ///
    /// - Returns: with the state of the worker whose the study is, empty for none.
    func pendingReviews(limit: Int) throws(SQLiteError) -> [(id: String, json: String, owner: String)] {
        try write { database throws(SQLiteError) in
            try database.rows(
                """
                SELECT review, json, ifnull(s.worker_state, '') FROM review LEFT JOIN study s ON s.id = review.study
                WHERE state = 'pending' ORDER BY at_ms LIMIT ?
                """, [Value(limit)]
            ) { (id: $0.text(0) ?? "", json: $0.text(1) ?? "", owner: $0.text(2) ?? "") }
        }
    }

    /// What a worker said to a review.
    struct ReviewAnswer: Sendable {
        var review: String
        var accepted: Bool
        var reason: String
        var receipt: Receipt
    }

    /// Commits what workers answered. A review of a study that the worker lost stays pending, and the study is given
    /// back; it is refused for good when there is nothing to give back.
    ///
    /// - Returns: whether instances were given back.
    func save(reviewAnswers: [ReviewAnswer]) throws(SQLiteError) -> Bool {
        defer { noteWorklistChange() }
        return try write(durable: true) { database throws(SQLiteError) in
            var givesBack = false
            for answer in reviewAnswers {
                if !answer.accepted, answer.reason.hasPrefix(ToGateway.unknownStudy),
                    let study = try database.first(
                        "SELECT study FROM review WHERE review = ?", .text(answer.review), read: { $0.integer(0) }),
                    try Store.giveBack(study: study, notKnownTo: answer.receipt.state, in: database)
                {
                    givesBack = true
                    continue
                }
                try database.run(
                    "UPDATE review SET state = ?, reason = ?, worker_state = ?, serial = ? WHERE review = ?",
                    .text(answer.accepted ? "accepted" : "refused"), .text(answer.reason), .text(answer.receipt.state),
                    .integer(answer.receipt.serial), .text(answer.review))
            }
            return givesBack
        }
    }
}
