// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite

/// The JSON that the host shows; built by SQLite. What was stored is checked each time it is read: the file may be an
/// older version's, or somebody else's.
extension Store {
    /// The flag in a column as JSON; NULL when it is not one.
    static func flagJSON(_ column: String) -> String {
        """
        (CASE WHEN json_type(checked_json(\(column)), '$.findings') = 'array' AND NOT EXISTS
            (SELECT 1 FROM json_each(checked_json(\(column)), '$.findings') WHERE type <> 'object')
            THEN checked_json(\(column)) END)
        """
    }

    /// A column that JSON can hold: infinity is no number there.
    private static let probability = "min(max(f.probability, 0.0), 1.0)"

    /// Flags of the study `s`, most urgent first: what the worker sent, and when it was committed here. One that cannot
    /// be read is named, with what its columns say.
    private static let flagsOfStudy = """
        (SELECT json_group_array(checked_document(flag)) FROM (
            SELECT CASE WHEN good IS NULL THEN json_object('flag', f.flag, 'revision', f.revision, 'state', f.state,
                    'urgency', f.urgency, 'unreadable', checked_json('true'), 'findings', json_array(),
                    'model', json_object('version', f.model_version), 'flagged_at_ms', f.flagged_at_ms,
                    'first_flagged_at_ms', f.first_flagged_at_ms)
                ELSE json_set(good, '$.flagged_at_ms', f.flagged_at_ms, '$.first_flagged_at_ms',
                    f.first_flagged_at_ms) END AS flag
            FROM (SELECT *, \(flagJSON("flag.json")) AS good FROM flag WHERE study = s.id) f
            ORDER BY f.urgency_rank DESC, f.probability DESC, f.flagged_at_ms DESC))
        """

    /// Reviews of the study `s`, oldest first.
    private static let reviewsOfStudy = """
        (SELECT json_group_array(checked_document(review)) FROM (
            SELECT CASE WHEN json_type(checked_json(v.json)) = 'object'
                THEN json_set(checked_json(v.json), '$.state', v.state, '$.reason', v.reason)
                ELSE json_object('review', v.review, 'at_ms', v.at_ms, 'state', v.state, 'reason', v.reason,
                    'unreadable', checked_json('true')) END AS review
            FROM review v WHERE v.study = s.id ORDER BY v.at_ms, v.review))
        """

    /// The most urgent flag of each study among those that `condition` selects, for `row`.
    private static func topFlags(_ condition: String) -> String {
        """
        (SELECT *, \(flagJSON("flag.json")) AS good, row_number() OVER (PARTITION BY study
            ORDER BY urgency_rank DESC, probability DESC, flagged_at_ms DESC) AS place
            FROM flag WHERE \(condition))
        """
    }

    /// One row of the worklist: the study `s` and `f`, its most urgent flag. A study whose flag cannot be read stays.
    private static let row = """
        json_object(
            'study', s.study_instance_uid, 'gateway_study', nullif(s.gateway_study, ''),
            'urgency', f.urgency, 'state', f.state, 'probability', \(probability),
            'flag', f.flag, 'revision', f.revision, 'unreadable', checked_json(iif(f.good IS NULL, 'true', 'false')),
            'patient', CASE WHEN f.good IS NULL THEN json_object('id', nullif(f.patient, ''))
                ELSE json_extract(f.good, '$.patient') END,
            'description', json_extract(f.good, '$.description'),
            'modality', json_extract(f.good, '$.modality'),
            'accession_number', json_extract(f.good, '$.accession_number'),
            'study_date', json_extract(f.good, '$.study_date'),
            'completeness', json_extract(f.good, '$.completeness'),
            'model', json_extract(f.good, '$.model'),
            'findings', CASE WHEN f.good IS NULL THEN json_array()
                ELSE json_extract(f.good, '$.findings') END,
            'instances', json_extract(f.good, '$.instances'), 'arrived_at_ms', s.arrived_at_ms,
            'first_flagged_at_ms', f.first_flagged_at_ms, 'flagged_at_ms', f.flagged_at_ms,
            'key_image', (SELECT object FROM result WHERE flag = f.flag AND kind = 'key-image' AND state = 'stored'
                AND study_instance_uid = s.study_instance_uid ORDER BY at_ms DESC LIMIT 1),
            'priors', CASE WHEN f.patient <> '' THEN (SELECT count(DISTINCT study) FROM flag
                WHERE patient = f.patient AND patient <> '' AND study <> s.id) ELSE 0 END,
            'flags', \(flagsOfStudy), 'reviews', \(reviewsOfStudy))
        """

    /// `{"at_ms": …, "studies": […]}`, one row for each flagged study, most urgent first.
    func worklist(since: Int64, limit: Int) throws(SQLiteError) -> String {
        try read { database throws(SQLiteError) in
            let text = try database.first(
                """
                SELECT json_object('at_ms', ?1, 'studies', (SELECT json_group_array(checked_document(line)) FROM (
                    SELECT \(Store.row) AS line FROM \(Store.topFlags("flagged_at_ms >= ?2")) f
                    JOIN study s ON s.id = f.study WHERE f.place = 1
                    ORDER BY f.urgency_rank DESC, f.probability DESC, s.arrived_at_ms LIMIT ?3)))
                """, .integer(Clock.nowMilliseconds()), .integer(since), Value(limit)
            ) { $0.text(0) }
            return (text ?? nil) ?? "{\"studies\":[]}"
        }
    }

    /// The other flagged studies with the PatientID of this one, newest first; nil when the study is not known. A
    /// PatientID is compared as it is, without its issuer.
    ///
    /// - Parameter name: the host's id of the study or the StudyInstanceUID.
    func priors(of name: String) throws(SQLiteError) -> String? {
        try read { database throws(SQLiteError) in
            let text = try database.first(
                """
                WITH this AS (SELECT id, study_instance_uid FROM study
                        WHERE (study_instance_uid = ?1 OR gateway_study = ?1) AND study_instance_uid IS NOT NULL LIMIT 1),
                    patient AS (SELECT patient FROM flag WHERE study = (SELECT id FROM this) AND patient <> ''),
                    f AS \(Store.topFlags("patient IN patient AND patient <> '' AND study <> (SELECT id FROM this)"))
                SELECT json_object('study', this.study_instance_uid, 'studies',
                    (SELECT json_group_array(checked_document(line))
                    FROM (SELECT \(Store.row) AS line FROM f JOIN study s ON s.id = f.study
                        WHERE f.place = 1 AND s.study_instance_uid IS NOT NULL
                        ORDER BY s.arrived_at_ms DESC LIMIT 100)))
                FROM this
                """, .text(name)
            ) { $0.text(0) }
            return text ?? nil
        }
    }

    /// Everything known of one study; nil when nothing is.
    ///
    /// - Parameter name: the host's id of the study or the StudyInstanceUID.
    func study(_ name: String) throws(SQLiteError) -> String? {
        try read { database throws(SQLiteError) in
            // Instances whose StudyInstanceUID could not be read have study rows of their own, known by the host's id.
            let text = try database.first(
                """
                WITH whole AS (SELECT * FROM study WHERE study_instance_uid = ?1 OR gateway_study = ?1
                        OR gateway_study IN (SELECT gateway_study FROM study WHERE study_instance_uid = ?1
                            AND gateway_study <> '')),
                    s AS (SELECT * FROM whole ORDER BY study_instance_uid IS NULL, id LIMIT 1),
                    o AS (SELECT * FROM outcome WHERE study IN (SELECT id FROM whole))
                SELECT json_object(
                    'study', s.study_instance_uid, 'gateway_study', nullif(s.gateway_study, ''),
                    'arrived_at_ms', s.arrived_at_ms,
                    'urgency', (SELECT urgency FROM flag WHERE study = s.id
                        ORDER BY urgency_rank DESC, probability DESC LIMIT 1),
                    'counts', json_object(
                        'scored', (SELECT count(*) FROM o WHERE outcome = 'scored'),
                        'ignored', (SELECT count(*) FROM o WHERE outcome = 'ignored'),
                        'labelled', (SELECT count(*) FROM o WHERE outcome = 'labelled'),
                        'unlabelled', (SELECT count(*) FROM o WHERE outcome = 'unlabelled'),
                        'set_aside', (SELECT count(*) FROM o WHERE outcome = 'set-aside'),
                        'routed_away', (SELECT count(*) FROM o WHERE outcome = 'routed-away')),
                    'flags', \(Store.flagsOfStudy), 'reviews', \(Store.reviewsOfStudy),
                    'results', (SELECT json_group_array(json_object('object', object, 'kind', kind,
                        'flag', flag, 'state', state, 'reason', reason, 'at_ms', at_ms))
                        FROM (SELECT * FROM result WHERE study_instance_uid = s.study_instance_uid
                            ORDER BY at_ms, object)),
                    'set_aside', (SELECT json_group_array(json_object(
                        'gateway_instance', instance, 'reason', reason, 'at_ms', at_ms))
                        FROM (SELECT * FROM o WHERE outcome = 'set-aside' ORDER BY at_ms, instance LIMIT 10000)),
                    'ignored', (SELECT json_group_array(json_object(
                        'gateway_instance', instance, 'reason', reason, 'at_ms', at_ms))
                        FROM (SELECT * FROM o WHERE outcome IN ('ignored', 'unlabelled')
                            ORDER BY at_ms, instance LIMIT 10000)))
                FROM s
                """, .text(name)
            ) { $0.text(0) }
            return text ?? nil
        }
    }

    /// The database's part of the status.
    func figures() throws(SQLiteError) -> String {
        try read { database throws(SQLiteError) in
            let text = try database.first(
                """
                SELECT json_object(
                    'outbox', json_object('waiting', (SELECT count(*) FROM outbox),
                        'bytes', (SELECT ifnull(sum(size_bytes), 0) FROM outbox),
                        'oldest_received_at_ms', (SELECT received_at_ms FROM outbox ORDER BY sequence LIMIT 1)),
                    'outcomes', (SELECT json_group_object(outcome, instances) FROM tally),
                    'flags', (SELECT json_group_object(urgency, n)
                        FROM (SELECT urgency, count(*) AS n FROM flag GROUP BY urgency)),
                    'reviews', (SELECT json_group_object(state, n)
                        FROM (SELECT state, count(*) AS n FROM review GROUP BY state)),
                    'results', (SELECT json_group_object(state, n)
                        FROM (SELECT state, count(*) AS n FROM result GROUP BY state)),
                    'log', (SELECT json_group_object(name, value) FROM fact))
                """
            ) { $0.text(0) }
            return (text ?? nil) ?? "{}"
        }
    }
}
