/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a host can do wrong in its callbacks: call back, fail, answer rubbish, never return. Nothing of it may crash,
 * hang or lose anything. Built with AddressSanitizer by test_15_abi.py.
 *
 *   callbacks FOLDER                                      all that needs no worker
 *   callbacks FOLDER WORKER-ENDPOINT STUDY-UID FILE...    all callbacks misbehave, with a real worker */
#define _GNU_SOURCE
#include "misuse.h"

static gantry_gateway *under_test;
static atomic_int logged, refused_closes;

static void log_and_call_back(void *context, int32_t level, const char *line) {
    (void)context, (void)level;
    CHECK(strchr(line, '\n') == NULL);
    if (under_test != NULL) {
        call_everything(under_test, -1);
        if (gantry_close(under_test, UINT32_MAX) == GANTRY_WRONG_THREAD) atomic_fetch_add(&refused_closes, 1);
    }
    atomic_fetch_add(&logged, 1);
}

static int32_t read_log_and_call_back(void *context, const char *position, gantry_log_page *page) {
    (void)context;
    call_everything(under_test, -1);
    if (gantry_close(under_test, UINT32_MAX) == GANTRY_WRONG_THREAD) atomic_fetch_add(&refused_closes, 1);
    gantry_gateway *other = open_plain("opened-in-callback");
    call_everything(other, -1);
    CHECK(gantry_close(other, 5000) == GANTRY_OK);
    page->end(page->sink, position == NULL ? "0" : position, 0);
    return GANTRY_OK;
}

static void calls_from_callbacks(void) {
    gantry_host host = plain_host();
    host.log = log_and_call_back;
    host.read_log = read_log_and_call_back;
    gantry_gateway *gateway = NULL;
    CHECK(open_with(&host, "reentrant", "{\"Colour\": \"blue\", \"Name\": \"two\\nlines\"}", &gateway) == GANTRY_OK);
    under_test = gateway;
    CHECK(gantry_host_ready(gateway) == GANTRY_OK);
    WAIT_UNTIL(atomic_load(&refused_closes) >= 1);
    CHECK(atomic_load(&logged) >= 2);
    CHECK(gantry_close(gateway, 10000) == GANTRY_OK);
    under_test = NULL;

    /* A database that cannot be used is logged from within a call of ours: the log may call back then, too. */
    char path[4096];
    snprintf(path, sizeof path, "%s/not-a-directory", folder);
    fclose(fopen(path, "w"));
    atomic_store(&logged, 0);
    CHECK(open_with(&host, "not-a-directory/below", NULL, &gateway) == GANTRY_OK);
    under_test = gateway;
    gantry_text text = {.struct_size = sizeof text};
    const char review[] = "{\"finding\": \"x\", \"verdict\": \"agree\", \"reviewer\": \"r\"}";
    CHECK(gantry_review(gateway, "1.2", review, sizeof review - 1, &text) == GANTRY_UNAVAILABLE && text.length > 0);
    gantry_text_free(&text);
    CHECK(gantry_status_json(gateway, &text) == GANTRY_OK && strstr(text.bytes, "\"unusable\"") != NULL);
    gantry_text_free(&text);
    call_everything(gateway, -1);
    CHECK(atomic_load(&logged) >= 1);
    CHECK(gantry_close(gateway, 10000) == GANTRY_OK);
    under_test = NULL;
}

/* A log of stored instances that is wrong in every way. */

static atomic_int pages, way;
static void (*kept_add)(void *, const char *);
static void (*kept_end)(void *, const char *, int32_t);
static void *kept_sink;

static int32_t rubbish_log(void *context, const char *position, gantry_log_page *page) {
    (void)context;
    atomic_fetch_add(&pages, 1);
    kept_add = page->add, kept_end = page->end, kept_sink = page->sink;
    static char long_position[400];
    memset(long_position, '9', sizeof long_position - 1);
    switch (atomic_load(&way)) {
        case 0: return 12345;                                              /* a code that does not exist */
        case 1: return GANTRY_OK;                                          /* never ends the page */
        case 2: page->end(page->sink, NULL, 1); return GANTRY_OK;          /* no position */
        case 3: page->end(page->sink, long_position, 0); return GANTRY_OK; /* too long a position */
        case 4: page->end(page->sink, position ? position : "p", 1); return GANTRY_OK; /* more, for ever, of nothing */
        case 5:
            page->add(page->sink, NULL), page->add(NULL, "x"), page->add((void *)0x10, "x"), page->end(NULL, "x", 0);
            page->add(page->sink, "a b"), page->add(page->sink, "\xff"), page->add(page->sink, long_position);
            page->end(page->sink, "p", 0), page->end(page->sink, "p", 0), page->add(page->sink, "after-the-end");
            return GANTRY_OK;
        case 6:
            for (int number = 0; number < 300000; number++) {
                char id[32];
                snprintf(id, sizeof id, "huge-%d", number);
                page->add(page->sink, id);
            }
            page->end(page->sink, "\xff\xfe", 0);
            return GANTRY_OK;
        default: page->end(page->sink, "p", 0); return INT32_MIN;
    }
}

static void rubbish_from_the_log(void) {
    gantry_host host = plain_host();
    host.read_log = rubbish_log;
    for (int which = 0; which < 8; which++) {
        char name[32];
        snprintf(name, sizeof name, "rubbish-%d", which);
        atomic_store(&way, which);
        atomic_store(&pages, 0);
        gantry_gateway *gateway = NULL;
        CHECK(open_with(&host, name, "{\"Backfill\": true}", &gateway) == GANTRY_OK);
        CHECK(gantry_host_ready(gateway) == GANTRY_OK);
        WAIT_UNTIL(atomic_load(&pages) >= 1);
        pause_milliseconds(100);
        CHECK(atomic_load(&pages) < 5); /* A log that fails is left alone for a while. */
        CHECK(status_says(gateway, "\"state\":\"ok\""));
        CHECK(gantry_close(gateway, 30000) == GANTRY_OK);
        /* A page that somebody kept. */
        kept_add(kept_sink, "stale"), kept_end(kept_sink, "stale", 1);
    }
}

/* Callbacks that do not come back */

static sem_t released;
static atomic_int inside;

static int32_t hanging_log_page(void *context, const char *position, gantry_log_page *page) {
    (void)context, (void)position, (void)page;
    atomic_store(&inside, 1);
    sem_wait(&released);
    atomic_store(&inside, 2);
    return GANTRY_UNAVAILABLE;
}

static void hanging_log(void *context, int32_t level, const char *line) {
    (void)context, (void)level, (void)line;
    atomic_store(&inside, 1);
    sem_wait(&released);
    sem_post(&released);
    atomic_store(&inside, 2);
}

static void callbacks_that_hang(void) {
    sem_init(&released, 0, 0);
    for (int which = 0; which < 2; which++) {
        atomic_store(&inside, 0);
        gantry_host host = plain_host();
        if (which == 0) host.read_log = hanging_log_page;
        if (which == 1) host.log = hanging_log;
        gantry_gateway *gateway = NULL;
        const int before = atomic_load(&destroyed);
        CHECK(open_with(&host, "hanging", NULL, &gateway) == GANTRY_OK);
        CHECK(gantry_host_ready(gateway) == GANTRY_OK);
        WAIT_UNTIL(atomic_load(&inside) == 1);
        for (int turn = 0; turn < 20; turn++) call_everything(gateway, -1);
        const double began = seconds();
        CHECK(gantry_close(gateway, 200) == GANTRY_TIMEOUT);
        CHECK(seconds() - began < 10);
        CHECK(atomic_load(&destroyed) == before);
        call_everything(gateway, GANTRY_CLOSED);
        sem_post(&released);
        WAIT_UNTIL(atomic_load(&inside) == 2);
    }
}

/* With a real worker: every callback misbehaves, and the study is flagged all the same. */

static char **files;
static int file_count;
static atomic_int reads, flags, final_flags;

/* From within a callback: refused, or already under way from the host's own thread. */
static void close_from_callback(void) {
    const int32_t code = gantry_close(under_test, UINT32_MAX);
    CHECK(code == GANTRY_WRONG_THREAD || code == GANTRY_CLOSED);
}

static int32_t moody_read(void *context, const char *id, void **bytes, size_t *size) {
    (void)context;
    call_everything(under_test, -1);
    close_from_callback();
    switch (atomic_fetch_add(&reads, 1)) {
        case 0: return GANTRY_OK;                                  /* without bytes */
        case 1: *bytes = (void *)0x10, *size = 99; return -7;      /* an error beside rubbish */
        case 2: *bytes = NULL, *size = SIZE_MAX; return INT32_MAX; /* a code that does not exist */
        default: break;
    }
    const int number = atoi(id);
    FILE *file = number >= 0 && number < file_count ? fopen(files[number], "rb") : NULL;
    if (file == NULL) return GANTRY_NOT_FOUND;
    fseek(file, 0, SEEK_END);
    const long length = ftell(file);
    rewind(file);
    *bytes = malloc((size_t)length);
    *size = fread(*bytes, 1, (size_t)length, file);
    fclose(file);
    return GANTRY_OK;
}

static int32_t moody_study(void *context, const char *id, char *study, size_t capacity) {
    (void)context, (void)id;
    static atomic_int calls;
    call_everything(under_test, -1);
    if (atomic_fetch_add(&calls, 1) == 0) return 4711;
    memset(study, 'S', capacity); /* without a zero byte */
    return GANTRY_OK;
}

static int32_t moody_title(void *context, const char *id, char *title, size_t capacity) {
    (void)context, (void)id;
    call_everything(under_test, -1);
    memset(title, 'T', capacity); /* without a zero byte */
    return GANTRY_OK;
}

static int32_t moody_flag(void *context, const gantry_flag *flag) {
    (void)context;
    CHECK(flag->struct_size >= sizeof *flag && flag->study_instance_uid[0] != 0 && flag->json[0] == '{');
    CHECK(strlen(flag->study_id) == 256);
    call_everything(under_test, -1);
    gantry_text text = {.struct_size = sizeof text};
    const int32_t code = gantry_study_json(under_test, flag->study_instance_uid, &text);
    CHECK(code == GANTRY_OK || code == GANTRY_CLOSED);
    gantry_text_free(&text);
    close_from_callback();
    atomic_fetch_add(&flags, 1);
    if (strcmp(flag->state, "final") == 0) atomic_fetch_add(&final_flags, 1);
    return -1; /* never taken */
}

static void moody_host(const char *endpoint, const char *study) {
    gantry_host host = {.struct_size = sizeof host, .log = log_and_call_back, .read_instance = moody_read,
                        .resolve_study = moody_study, .flag_changed = moody_flag, .read_log = rubbish_log,
                        .destroy = count_destroy, .calling_ae_title = moody_title};
    atomic_store(&way, 1);
    char settings[4096];
    snprintf(settings, sizeof settings, "{\"Workers\": [\"%s\"]}", endpoint);
    gantry_gateway *gateway = NULL;
    CHECK(open_with(&host, "moody", settings, &gateway) == GANTRY_OK);
    under_test = gateway;
    CHECK(gantry_host_ready(gateway) == GANTRY_OK);
    for (int number = 0; number < file_count; number++) {
        char id[16];
        snprintf(id, sizeof id, "%d", number);
        /* By id alone, so that each is read back. */
        const gantry_instance instance = {sizeof instance, id, NULL, NULL, 0};
        CHECK(gantry_instance_stored(gateway, &instance) == GANTRY_OK);
    }
    CHECK(gantry_study_complete(gateway, study) == GANTRY_OK);
    /* Refused for ever, it is offered again and again, and can be asked for at any time. */
    WAIT_UNTIL(atomic_load(&final_flags) >= 2);
    gantry_text text = {.struct_size = sizeof text};
    CHECK(gantry_study_json(gateway, study, &text) == GANTRY_OK && strstr(text.bytes, "\"final\"") != NULL);
    gantry_text_free(&text);
    CHECK(gantry_worklist_json(gateway, 0, &text) == GANTRY_OK && strstr(text.bytes, study) != NULL);
    gantry_text_free(&text);
    CHECK(gantry_close(gateway, 10000) == GANTRY_OK);
    under_test = NULL;
}

int main(int count, char **arguments) {
    CHECK(count == 2 || count > 4);
    folder = arguments[1];
    if (count > 4) {
        files = arguments + 4;
        file_count = count - 4;
        RUN(moody_host(arguments[2], arguments[3]));
        return 0;
    }
    RUN(calls_from_callbacks());
    RUN(rubbish_from_the_log());
    RUN(callbacks_that_hang());
    return 0;
}
