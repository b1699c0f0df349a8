// SPDX-License-Identifier: GPL-3.0-or-later

extension WorkerStore {
    static let labels = """
        CREATE TABLE label (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            gateway TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            finding TEXT NOT NULL,
            present INTEGER NOT NULL,
            source TEXT NOT NULL,
            reader TEXT NOT NULL,
            role TEXT NOT NULL,
            at_ms INTEGER NOT NULL,
            authoritative INTEGER NOT NULL,
            -- what it is part of; empty for none
            document TEXT NOT NULL,
            withdrawn_at_ms INTEGER,
            FOREIGN KEY (gateway, study_instance_uid) REFERENCES study
        ) STRICT;
        CREATE INDEX label_study ON label (gateway, study_instance_uid, finding, authoritative, at_ms, id);
        CREATE INDEX label_document ON label (source, document) WHERE document <> '';

        -- Studies of which nothing is to be learned: a document of the department has rejected their images.
        CREATE TABLE rejection (
            gateway TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            document TEXT NOT NULL,
            title TEXT NOT NULL,
            at_ms INTEGER NOT NULL,
            PRIMARY KEY (gateway, study_instance_uid, document),
            FOREIGN KEY (gateway, study_instance_uid) REFERENCES study
        ) STRICT, WITHOUT ROWID;

        -- What is learned from: the latest authoritative statement wins, see Label+Precedence; history is kept.
        CREATE VIEW current_label AS
        SELECT * FROM label AS one WHERE withdrawn_at_ms IS NULL AND NOT EXISTS (
            SELECT 1 FROM label AS later
            WHERE later.gateway = one.gateway AND later.study_instance_uid = one.study_instance_uid
                AND later.finding = one.finding AND later.withdrawn_at_ms IS NULL
                AND (later.authoritative, later.at_ms, later.id) > (one.authoritative, one.at_ms, one.id))
            AND NOT EXISTS (SELECT 1 FROM rejection
            WHERE rejection.gateway = one.gateway AND rejection.study_instance_uid = one.study_instance_uid);

        -- Studies about which something was said, by whichever process, since their flags were told.
        CREATE TABLE unstated (
            gateway TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            PRIMARY KEY (gateway, study_instance_uid)
        ) STRICT, WITHOUT ROWID;
        CREATE TRIGGER label_said AFTER INSERT ON label BEGIN
            INSERT OR IGNORE INTO unstated VALUES (new.gateway, new.study_instance_uid);
        END;
        CREATE TRIGGER label_withdrawn AFTER UPDATE ON label BEGIN
            INSERT OR IGNORE INTO unstated VALUES (new.gateway, new.study_instance_uid);
        END;

        CREATE TABLE review (
            review TEXT PRIMARY KEY,
            accepted INTEGER NOT NULL,
            reason TEXT NOT NULL,
            at_ms INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;

        -- Reports and key object selections that say something about a study, one row for each study.
        CREATE TABLE document (
            gateway TEXT NOT NULL,
            sop_instance_uid TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            -- waiting: for its study; dropped: the study did not come
            state TEXT NOT NULL CHECK (state IN ('taken', 'waiting', 'dropped')),
            -- DocumentStatement as JSON while it waits
            statement TEXT NOT NULL,
            received_at_ms INTEGER NOT NULL,
            PRIMARY KEY (gateway, sop_instance_uid, study_instance_uid)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX document_waiting ON document (gateway, study_instance_uid) WHERE state = 'waiting';
        CREATE INDEX document_oldest ON document (received_at_ms) WHERE state = 'waiting';
        CREATE INDEX document_state ON document (state);

        -- Documents that a later one takes the place of, which may have come first.
        CREATE TABLE superseded (
            gateway TEXT NOT NULL,
            sop_instance_uid TEXT NOT NULL,
            -- whether the later one is
            authoritative INTEGER NOT NULL,
            PRIMARY KEY (gateway, sop_instance_uid)
        ) STRICT, WITHOUT ROWID;
        """
}
