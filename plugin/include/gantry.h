/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gantry.h: what a DICOM gateway (the host) and Gantry say to each other. Plain C, version 1. The page for C
 * programmers, with a complete example, is plugin/README.md.
 *
 * The host tells Gantry about each instance it has stored; Gantry hands it to the worker, and gives back flags.
 * Nothing here waits for the worker, and nothing but gantry_open, gantry_close, gantry_review and the gantry_..._json
 * getters touches a disk in the caller's thread.
 *
 * Life:     gantry_open -> gantry_host_ready -> any of the others, from any thread -> gantry_close.
 * Instance: gantry_instance_stored, with bytes borrowed for the call or with the id alone (read_instance).
 * Study:    gantry_study_complete, where the host knows; else the worker waits for its quiet period.
 * Restart:  read_log tells what a crash kept from Gantry; gantry_reconcile reads it now.
 * Flags:    by callback (flag_changed) or by asking (gantry_worklist_json, gantry_study_json).
 * State:    gantry_status_json, gantry_metrics; log lines through `log`.
 * Refusal:  gantry_accepts, for an administrator who would rather refuse instances than have them wait.
 *
 * Rules
 *  - Functions return a gantry_code; callers must tolerate codes that they do not know. Codes are never renumbered.
 *  - Structs begin with struct_size = sizeof(the struct), filled in by whoever made it. New fields are only ever
 *    appended; whoever reads a struct reads what fits into both sizes.
 *  - Text is UTF-8, ends with a zero byte, and is borrowed for the duration of the call unless said otherwise. Bytes
 *    that are not UTF-8 are replaced by U+FFFD.
 *  - Times are Unix milliseconds, UTC.
 *  - Every function may be called from any thread, also at the same time, also after gantry_close (GANTRY_CLOSED),
 *    and from within every callback; only gantry_close refuses its own gateway's callbacks (GANTRY_WRONG_THREAD).
 *  - Callbacks run on Gantry's own threads, without any lock of Gantry's, and never within a call of the host;
 *    only `destroy` runs within gantry_close, and what gantry_metrics is given within that call.
 */
#ifndef GANTRY_H
#define GANTRY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GANTRY_ABI_VERSION 1

/** One open gateway. A handle is never reused, so that one that was closed can be told from a live one. */
typedef struct gantry_gateway gantry_gateway;

enum gantry_code {
    GANTRY_OK = 0,
    /** A pointer is null, or a text is empty, too long or not allowed. */
    GANTRY_BAD_ARGUMENT = 1,
    /** Not a handle that gantry_open gave. */
    GANTRY_BAD_HANDLE = 2,
    /** struct_size is smaller than version 1 of the struct. */
    GANTRY_BAD_STRUCT_SIZE = 3,
    /** The gateway was closed. */
    GANTRY_CLOSED = 4,
    /** The thing asked for does not exist. */
    GANTRY_NOT_FOUND = 5,
    /** The hand-over queue is full. The instance is not lost: it will be found in the host's log. */
    GANTRY_FULL = 6,
    /** Not possible at present, for example because the database cannot be used; gantry_status_json says why. */
    GANTRY_UNAVAILABLE = 7,
    /** Memory, threads or file descriptors are exhausted. */
    GANTRY_NO_RESOURCES = 8,
    /** gantry_close: a thread or a call did not end in time and was left behind. */
    GANTRY_TIMEOUT = 9,
    /** gantry_close: called from within a callback of the same gateway, which it would wait for. Nothing was done. */
    GANTRY_WRONG_THREAD = 10
};

enum gantry_level { GANTRY_LEVEL_INFO = 0, GANTRY_LEVEL_WARNING = 1, GANTRY_LEVEL_ERROR = 2 };

/** Text that Gantry made: owned by the caller, freed with gantry_text_free. Set struct_size before use; each call that
 *  takes it empties it first, so that it may be freed whatever the call returned, and must be freed before it is used
 *  for the next. */
typedef struct gantry_text {
    size_t struct_size;
    /** From malloc, ends with a zero byte; null when there is none. */
    char *bytes;
    /** Without the zero byte. */
    size_t length;
} gantry_text;

/** A flag that was committed; borrowed for the duration of the callback. */
typedef struct gantry_flag {
    size_t struct_size;
    const char *study_instance_uid;
    /** The host's id of one instance of the study. */
    const char *instance_id;
    /** The host's id of the study; empty when the host has no resolve_study. */
    const char *study_id;
    /** none, routine, urgent or critical. */
    const char *urgency;
    /** The flag as JSON. */
    const char *json;
    /** preliminary or final. */
    const char *state;
} gantry_flag;

/** Where read_log puts what it found; valid during the callback, and without effect after it. */
typedef struct gantry_log_page {
    size_t struct_size;
    void *sink;
    /** One instance that the log says was stored. */
    void (*add)(void *sink, const char *instance_id);
    /** Ends the page: the position after it, up to 255 bytes, and whether there is more. Call once, last. */
    void (*end)(void *sink, const char *position, int32_t more);
} gantry_log_page;

/** The host's side. Every function gets `context`. `log` is called on a thread of its own, `send_instance` on a second,
 *  all the others on a third; they may block, and what they hold up is Gantry's work, never the host's. */
typedef struct gantry_host {
    size_t struct_size;
    void *context;
    /** Optional. Takes one line without patient data; `level` is a gantry_level. */
    void (*log)(void *context, int32_t level, const char *line);
    /** Reads a stored instance. On GANTRY_OK *bytes comes from malloc, has *size bytes, and Gantry frees it with free.
     *  GANTRY_NOT_FOUND: the host no longer has it. Another code: try again later. */
    int32_t (*read_instance)(void *context, const char *instance_id, void **bytes, size_t *size);
    /** Optional. The host's id of the study an instance belongs to, copied with its zero byte into `study_id`. */
    int32_t (*resolve_study)(void *context, const char *instance_id, char *study_id, size_t capacity);
    /** Optional. A flag is new or was revised. Another code than GANTRY_OK: called again later. Called again for a
     *  flag that the host already has when the host stopped in between. */
    int32_t (*flag_changed)(void *context, const gantry_flag *flag);
    /** Optional. Reads the host's own durable log of stored instances, oldest first, one page at a call.
     *  `position` is what the page before gave to `end`, "" is the beginning of the log, and null asks for the
     *  position at the log's end without adding anything. Gantry keeps the position, in one transaction with what
     *  it learned from the page. */
    int32_t (*read_log)(void *context, const char *position, gantry_log_page *page);
    /** Optional. The last call, within gantry_close. Not called when gantry_open failed (nothing is called after it
     *  then), nor when a thread or call had to be left behind (GANTRY_TIMEOUT: `context` must stay valid). */
    void (*destroy)(void *context);
    /** Optional. The AE title that sent an instance, copied with its zero byte into `title`, of at least 65 bytes;
     *  GANTRY_NOT_FOUND when it came otherwise. Asked for instances that read_log told, when a routing rule wants to
     *  know it. */
    int32_t (*calling_ae_title)(void *context, const char *instance_id, char *title, size_t capacity);
    /** Optional. Stores a DICOM file about a study, such as a structured report, in the host's archive; `bytes` are
     *  borrowed for the call. May be called again with the same SOPInstanceUID for a file that the host already has.
     *  GANTRY_BAD_ARGUMENT: the host will never store it; another code than GANTRY_OK: called again later. Without it
     *  the worker's results exist as flags alone. The host tells Gantry about the instance as about any other. */
    int32_t (*store_instance)(void *context, const void *bytes, size_t size);
    /** Optional. Sends an instance that store_instance has stored to another DICOM node by C-STORE, and waits for its
     *  response. `target` is a name in the setting ResultTargets; which node it stands for, the host knows. May be called
     *  again for an instance that the node already has. Where it fails, one sentence without patient data goes with its
     *  zero byte into `reason`, of at least 256 bytes. GANTRY_NOT_FOUND: the host no longer has the instance;
     *  GANTRY_BAD_ARGUMENT: the host knows no such target; it is asked again after ten minutes. Another code than
     *  GANTRY_OK: called again later, after pauses that grow from five seconds to ten minutes. */
    int32_t (*send_instance)(
        void *context, const char *target, const char *sop_instance_uid, char *reason, size_t capacity);
} gantry_host;

typedef struct gantry_options {
    size_t struct_size;
    /** Copied. Must stay callable until `destroy`. */
    const gantry_host *host;
    /** Gantry's settings as a JSON object; null or empty: every default. A setting that is unknown or bad is one
     *  warning in the log, and its default is used. */
    const char *settings_json;
    /** Names in settings_json that the host reads itself, separated by spaces; may be null. */
    const char *host_settings;
    /** Directory for gateway.sqlite, made when missing; null: /var/lib/gantry. The setting StateDirectory overrides it.
     *  One gateway at a time uses a directory; another one waits until it is free, with its database unavailable. */
    const char *state_directory;
    /** How the worker knows this gateway, 1 to 128 bytes, unique among the worker's gateways; null: "gateway". The
     *  setting Name overrides it. */
    const char *name;
} gantry_options;

/** One stored instance. */
typedef struct gantry_instance {
    size_t struct_size;
    /** The host's id, 1 to 128 characters of printable ASCII without spaces. */
    const char *instance_id;
    /** AE title of the sender; may be null. */
    const char *calling_ae_title;
    /** The DICOM file, borrowed for the call; null: Gantry reads it back with read_instance. */
    const void *bytes;
    size_t size;
} gantry_instance;

enum gantry_metric_kind { GANTRY_METRIC_GAUGE = 0, GANTRY_METRIC_COUNTER = 1, GANTRY_METRIC_HISTOGRAM = 2 };

/** One value to monitor, as in the Prometheus text format; borrowed for the duration of the callback. Values of one
 *  family come one after the other. */
typedef struct gantry_metric {
    size_t struct_size;
    /** Name of the family, [a-z0-9_]+, for example "gantry_flags". */
    const char *family;
    /** What the family says, one line. */
    const char *help;
    /** A gantry_metric_kind, the same for the whole family. */
    int32_t kind;
    /** The value's own name: the family's; of a histogram also that with _bucket, _sum or _count behind it. */
    const char *name;
    /** For example urgency="critical", escaped as Prometheus wants it, without braces; empty when there are none. */
    const char *labels;
    double value;
} gantry_metric;

/** GANTRY_ABI_VERSION of the library. */
int32_t gantry_abi_version(void);

/** The library's release, for example "0.1.0"; never freed. */
const char *gantry_version(void);

/** Opens a gateway and starts its threads. A database or worker that cannot be used is no error: Gantry says so in
 *  the log and in the status and goes on trying. `error` (may be null) receives the reason of a failure. */
int32_t gantry_open(const gantry_options *options, gantry_gateway **gateway, char *error, size_t error_capacity);

/** The host is up: from now on its callbacks other than `log` may be called. Until then only the outbox fills. */
int32_t gantry_host_ready(gantry_gateway *gateway);

/** Stops the threads and waits for them and for calls under way, at most `timeout_milliseconds` in all. What was handed
 *  over is committed. On GANTRY_OK nothing of the host is used any more. The handle is closed either way, as soon as
 *  the call begins: a second call returns GANTRY_CLOSED. */
int32_t gantry_close(gantry_gateway *gateway, uint32_t timeout_milliseconds);

/** An instance was stored. Never waits for disk, database or socket; at most one copy of the bytes. */
int32_t gantry_instance_stored(gantry_gateway *gateway, const gantry_instance *instance);

/** No more instances of this study will come; a hint that spares the worker the quiet period.
 *  `study_instance_uid`: 1 to 64 digits and dots. */
int32_t gantry_study_complete(gantry_gateway *gateway, const char *study_instance_uid);

/** Reads the host's log from the last position on, soon and on Gantry's thread. Also done by itself at start, after
 *  GANTRY_FULL, and about once a minute. */
int32_t gantry_reconcile(gantry_gateway *gateway);

/** Takes a verdict: {"finding": "...", "verdict": "agree"|"disagree"|"withdraw", "reviewer": "...", "role": "...",
 *  "model_version": "..."}; the last two are optional. The host says who it is: it must have authenticated the reviewer,
 *  and knows the role ("radiologist" unless it says otherwise; "unauthenticated" for somebody it does not know, who never
 *  has the last word). "withdraw" takes back the reviewer's last verdict that stands: what was said before it counts again.
 *  At most 64 KiB, nested at most 32 deep. `study` is the host's study id or the StudyInstanceUID.
 *  `answer` receives the review as JSON, or a sentence that says what is wrong (GANTRY_BAD_ARGUMENT: with the
 *  request; GANTRY_NOT_FOUND: study not known). */
int32_t gantry_review(
    gantry_gateway *gateway, const char *study, const char *json, size_t length, gantry_text *answer);

/** State of the database, the worker, the outbox and the hand-over, as JSON. */
int32_t gantry_status_json(gantry_gateway *gateway, gantry_text *answer);

/** Flagged studies, most urgent first, as JSON. `limit` 0: 500. */
int32_t gantry_worklist_json(gantry_gateway *gateway, uint32_t limit, gantry_text *answer);

/** A number that is another one than before whenever gantry_worklist_json may have changed otherwise than by time: for a
 *  page that asks often. Never waits for disk, database or socket. */
int32_t gantry_worklist_version(gantry_gateway *gateway, uint64_t *version);

/** The other flagged studies of the same patient, newest first and at most 100, as JSON: rows as in
 *  gantry_worklist_json, also of studies that are too old for it. */
int32_t gantry_priors_json(gantry_gateway *gateway, const char *study, gantry_text *answer);

/** Everything known of one study, as JSON. `study` is the host's study id or the StudyInstanceUID. */
int32_t gantry_study_json(gantry_gateway *gateway, const char *study, gantry_text *answer);

/** Calls `add` for each metric, in the caller's thread and before it returns. Never waits for disk, database or socket:
 *  what is counted in the database is at most some seconds old. */
int32_t gantry_metrics(
    gantry_gateway *gateway, void *sink, void (*add)(void *sink, const gantry_metric *metric));

/** Whether an instance should be accepted now: GANTRY_OK, or GANTRY_UNAVAILABLE when the administrator has set
 *  RefuseWithoutWorkerSeconds and no worker was there for that long; a C-STORE SCP then answers A700, and the refusal
 *  is counted. Never waits for anything. A host that does not ask accepts everything. */
int32_t gantry_accepts(gantry_gateway *gateway);

/** Frees what a call put into `text`, and zeroes it. Null is allowed. */
void gantry_text_free(gantry_text *text);

#ifdef __cplusplus
}
#endif
#endif
