// SPDX-License-Identifier: GPL-3.0-or-later

extension WorkerStore {
    static let results = """
        -- Which final flags have to be told to the archive as DICOM objects.
        CREATE TABLE report (
            gateway TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            model_version TEXT NOT NULL,
            -- of the flag
            revision INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('due', 'made', 'failed')),
            reason TEXT NOT NULL,
            PRIMARY KEY (gateway, study_instance_uid, model_version)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX report_due ON report (gateway) WHERE state = 'due';
        CREATE INDEX report_failed ON report (reason) WHERE state = 'failed';

        -- The objects. The file is kept until the gateway has it.
        CREATE TABLE result (
            gateway TEXT NOT NULL,
            sop_instance_uid TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            model_version TEXT NOT NULL,
            flag TEXT NOT NULL,
            kind TEXT NOT NULL,
            sop_class_uid TEXT NOT NULL,
            series_instance_uid TEXT NOT NULL,
            revision INTEGER NOT NULL,
            -- lost: the gateway had it and lost it
            state TEXT NOT NULL CHECK (state IN ('due', 'delivered', 'refused', 'lost')),
            reason TEXT NOT NULL,
            -- the gateway's receipt, when it was delivered
            acked_state TEXT NOT NULL DEFAULT '',
            acked_serial INTEGER NOT NULL DEFAULT 0,
            file BLOB NOT NULL,
            PRIMARY KEY (gateway, sop_instance_uid)
        ) STRICT;
        CREATE INDEX result_due ON result (gateway) WHERE state = 'due';
        CREATE INDEX result_by_receipt ON result (acked_state, acked_serial) WHERE state = 'delivered';
        CREATE INDEX result_refused ON result (reason) WHERE state = 'refused';
        CREATE INDEX result_study ON result (gateway, study_instance_uid, model_version, kind, revision);
        """
}
