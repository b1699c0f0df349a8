// SPDX-License-Identifier: GPL-3.0-or-later

extension WorkerStore {
    static let validations = """
        -- What a version says about held-out studies: as it flagged them, or of their examples. NULL: it cannot say.
        CREATE TABLE held_out_score (
            gateway TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            model_version TEXT NOT NULL,
            finding TEXT NOT NULL,
            probability REAL,
            PRIMARY KEY (gateway, study_instance_uid, model_version, finding),
            FOREIGN KEY (gateway, study_instance_uid) REFERENCES study
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX held_out_score_version ON held_out_score (model_version);

        -- Figures on the held-out labels at the operating threshold.
        CREATE TABLE validation (
            model_version TEXT NOT NULL,
            finding TEXT NOT NULL,
            threshold REAL NOT NULL,
            positives INTEGER NOT NULL,
            negatives INTEGER NOT NULL,
            true_positives INTEGER NOT NULL,
            true_negatives INTEGER NOT NULL,
            auc REAL,
            auc_low REAL,
            auc_high REAL,
            calibration_labels INTEGER,
            at_ms INTEGER NOT NULL,
            PRIMARY KEY (model_version, finding)
        ) STRICT, WITHOUT ROWID;

        -- The site's thresholds; the last one for a version and finding counts, history is kept.
        CREATE TABLE operating_point (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            package TEXT NOT NULL,
            parameters TEXT NOT NULL,
            model_version TEXT NOT NULL,
            finding TEXT NOT NULL,
            origin TEXT NOT NULL CHECK (origin IN ('calibrated', 'carried', 'lost', 'reset')),
            -- NULL: the package's own
            threshold REAL,
            goal TEXT NOT NULL,
            goal_value REAL NOT NULL,
            minimum_per_class INTEGER NOT NULL,
            positives INTEGER NOT NULL,
            negatives INTEGER NOT NULL,
            reason TEXT NOT NULL,
            by TEXT NOT NULL,
            at_ms INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX operating_point_version ON operating_point (model_version, finding, id);
        """
}
