/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Everything a C programmer can do wrong with gantry.h. Each function below is one kind of misuse; every call must
 * return a code, in time, without a crash. Built with AddressSanitizer by test_15_abi.py.
 *
 *   misuse FOLDER                                  all that needs no worker
 *   misuse FOLDER WORKER-ENDPOINT STUDY-UID FILE...   a host that misbehaves in every callback, with a real worker */
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "gantry.h"

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: not true: %s\n", __func__, __LINE__, #condition); \
            _exit(1);                                                                 \
        }                                                                             \
    } while (0)

static const char *folder;

static void pause_milliseconds(long milliseconds) {
    nanosleep(&(struct timespec){.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000}, NULL);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Polls until `condition`, for at most 30 s. */
#define WAIT_UNTIL(condition)                                                             \
    do {                                                                                  \
        for (int turn = 0; turn < 3000 && !(condition); turn++) pause_milliseconds(10); \
        CHECK(condition);                                                                 \
    } while (0)

/* Hosts */

static int32_t no_instance(void *context, const char *id, void **bytes, size_t *size) {
    (void)context, (void)id, (void)bytes, (void)size;
    return GANTRY_NOT_FOUND;
}

static atomic_int destroyed;
static void count_destroy(void *context) {
    (void)context;
    atomic_fetch_add(&destroyed, 1);
}

static gantry_host plain_host(void) {
    gantry_host host = {.struct_size = sizeof host, .read_instance = no_instance, .destroy = count_destroy};
    return host;
}

static int32_t open_with(const gantry_host *host, const char *name, const char *settings, gantry_gateway **gateway) {
    char directory[4096];
    snprintf(directory, sizeof directory, "%s/%s", folder, name);
    const gantry_options options = {.struct_size = sizeof options, .host = host, .settings_json = settings,
                                    .state_directory = directory, .name = name};
    return gantry_open(&options, gateway, NULL, 0);
}

static gantry_gateway *open_plain(const char *name) {
    const gantry_host host = plain_host();
    gantry_gateway *gateway = NULL;
    CHECK(open_with(&host, name, "{\"Workers\": [\"ipc:///nowhere/worker.ipc\"]}", &gateway) == GANTRY_OK);
    CHECK(gantry_host_ready(gateway) == GANTRY_OK);
    return gateway;
}

static void count_metric(void *sink, const gantry_metric *metric) {
    CHECK(metric->struct_size >= sizeof *metric && metric->family[0] != 0 && metric->labels != NULL);
    ++*(int *)sink;
}

/* Every function that takes a handle; `expected` < 0: any code. */
static void call_everything(gantry_gateway *gateway, int32_t expected) {
    const gantry_instance instance = {sizeof instance, "an-instance", "SCANNER", "DICM", 4};
    const char review[] = "{\"finding\": \"x\", \"verdict\": \"agree\", \"reviewer\": \"r\"}";
    int metrics = 0;
    const int32_t codes[] = {
        gantry_host_ready(gateway),
        gantry_instance_stored(gateway, &instance),
        gantry_study_complete(gateway, "1.2.3"),
        gantry_reconcile(gateway),
        gantry_accepts(gateway),
        gantry_metrics(gateway, &metrics, count_metric),
    };
    for (int index = 0; index < 6; index++) CHECK(expected < 0 || codes[index] == expected);
    CHECK((codes[5] == GANTRY_OK) == (metrics > 0));
    for (int getter = 0; getter < 4; getter++) {
        gantry_text text = {sizeof text, (char *)0x10, 7}; /* Emptied by the call, so that freeing it is safe. */
        int32_t code = GANTRY_OK;
        if (getter == 0) code = gantry_status_json(gateway, &text);
        if (getter == 1) code = gantry_worklist_json(gateway, 3, &text);
        if (getter == 2) code = gantry_study_json(gateway, "1.2.3", &text);
        if (getter == 3) code = gantry_review(gateway, "1.2.3", review, sizeof review - 1, &text);
        CHECK(expected < 0 || code == expected);
        CHECK(text.bytes == NULL || strlen(text.bytes) == text.length);
        gantry_text_free(&text);
        gantry_text_free(&text);
    }
}

/* Misuse */

static void nulls(void) {
    gantry_gateway *gateway = (gantry_gateway *)0x10;
    char reason[64] = "";
    gantry_host host = plain_host();
    gantry_options options = {.struct_size = sizeof options};
    CHECK(gantry_open(NULL, NULL, NULL, 0) == GANTRY_BAD_ARGUMENT);
    CHECK(gantry_open(NULL, &gateway, reason, sizeof reason) == GANTRY_BAD_ARGUMENT && reason[0] != 0);
    CHECK(gantry_open(&options, NULL, reason, sizeof reason) == GANTRY_BAD_ARGUMENT);
    CHECK(gantry_open(&options, &gateway, reason, 1) == GANTRY_BAD_ARGUMENT && reason[0] == 0 && gateway == NULL);
    host.read_instance = NULL;
    options.host = &host;
    CHECK(gantry_open(&options, &gateway, reason, sizeof reason) == GANTRY_BAD_ARGUMENT && gateway == NULL);
    CHECK(strstr(reason, "read_instance") != NULL);
    call_everything(NULL, GANTRY_BAD_HANDLE);
    CHECK(gantry_close(NULL, 0) == GANTRY_BAD_HANDLE);
    gantry_text_free(NULL);

    gateway = open_plain("nulls");
    gantry_text text = {.struct_size = sizeof text};
    const gantry_instance nameless = {.struct_size = sizeof nameless, .bytes = "x", .size = 1};
    CHECK(gantry_instance_stored(gateway, NULL) == GANTRY_BAD_ARGUMENT);
    CHECK(gantry_instance_stored(gateway, &nameless) == GANTRY_BAD_ARGUMENT);
    CHECK(gantry_study_complete(gateway, NULL) == GANTRY_BAD_ARGUMENT);
    CHECK(gantry_status_json(gateway, NULL) == GANTRY_BAD_ARGUMENT);
    CHECK(gantry_worklist_json(gateway, 0, NULL) == GANTRY_BAD_ARGUMENT);
    CHECK(gantry_study_json(gateway, "1.2", NULL) == GANTRY_BAD_ARGUMENT);
    CHECK(gantry_study_json(gateway, NULL, &text) == GANTRY_BAD_ARGUMENT && text.bytes != NULL);
    gantry_text_free(&text);
    CHECK(gantry_review(gateway, "1.2", NULL, 5, &text) == GANTRY_BAD_ARGUMENT);
    gantry_text_free(&text);
    CHECK(gantry_review(gateway, NULL, "{}", 2, NULL) == GANTRY_BAD_ARGUMENT);
    CHECK(gantry_close(gateway, 5000) == GANTRY_OK);
}

static void close_from_metric(void *gateway, const gantry_metric *metric) {
    (void)metric;
    const int32_t code = gantry_close(gateway, UINT32_MAX);
    CHECK(code == GANTRY_OK || code == GANTRY_CLOSED);
}

static void garbage_handles(void) {
    char memory[64];
    memset(memory, 0x5a, sizeof memory);
    void *block = malloc(8);
    const uintptr_t freed = (uintptr_t)block;
    free(block);
    uintptr_t bad[] = {1, 0xdeadbeef, UINTPTR_MAX, (uintptr_t)memory, (uintptr_t)memory + 3, freed,
                       (uintptr_t)&gantry_open};
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++) {
        call_everything((gantry_gateway *)bad[index], GANTRY_BAD_HANDLE);
        CHECK(gantry_close((gantry_gateway *)bad[index], UINT32_MAX) == GANTRY_BAD_HANDLE);
    }
}

static void closed_handle(void) {
    const int before = atomic_load(&destroyed);
    gantry_gateway *gateway = open_plain("closed");
    CHECK(gantry_close(gateway, 5000) == GANTRY_OK);
    CHECK(atomic_load(&destroyed) == before + 1);
    for (int turn = 0; turn < 3; turn++) {
        call_everything(gateway, GANTRY_CLOSED);
        CHECK(gantry_close(gateway, 5000) == GANTRY_CLOSED);
    }
    CHECK(atomic_load(&destroyed) == before + 1);
    gantry_gateway *counted = open_plain("closed");
    CHECK(gantry_metrics(counted, counted, NULL) == GANTRY_BAD_ARGUMENT);
    CHECK(gantry_metrics(counted, counted, close_from_metric) == GANTRY_OK);
    call_everything(counted, GANTRY_CLOSED);
    /* A handle is never given twice, so that an old one cannot become a new gateway. */
    gantry_gateway *other = open_plain("closed");
    CHECK(other != gateway);
    call_everything(gateway, GANTRY_CLOSED);
    CHECK(gantry_close(other, 5000) == GANTRY_OK);
}

static void wrong_sizes(void) {
    struct {
        gantry_host host;
        char unknown[64];
    } host = {plain_host(), {0}};
    struct {
        gantry_options options;
        char unknown[64];
    } options = {{.struct_size = sizeof options.options, .host = &host.host}, {0}};
    memset(host.unknown, 0xee, sizeof host.unknown);
    memset(options.unknown, 0xee, sizeof options.unknown);
    char directory[4096];
    snprintf(directory, sizeof directory, "%s/sizes", folder);
    options.options.state_directory = directory;
    gantry_gateway *gateway = NULL;
    const size_t small[] = {0, 1, 8, sizeof options.options - 1};
    for (size_t index = 0; index < 4; index++) {
        options.options.struct_size = small[index];
        CHECK(gantry_open(&options.options, &gateway, NULL, 0) == GANTRY_BAD_STRUCT_SIZE);
    }
    options.options.struct_size = sizeof options;
    const size_t smallHost[] = {0, 1, 8, sizeof host.host - 1};
    for (size_t index = 0; index < 4; index++) {
        host.host.struct_size = smallHost[index];
        CHECK(gantry_open(&options.options, &gateway, NULL, 0) == GANTRY_BAD_STRUCT_SIZE && gateway == NULL);
    }
    /* A host that was compiled with a newer gantry.h. */
    host.host.struct_size = sizeof host;
    CHECK(gantry_open(&options.options, &gateway, NULL, 0) == GANTRY_OK);

    struct {
        gantry_instance instance;
        char unknown[64];
    } instance = {{sizeof instance, "newer", NULL, "x", 1}, {0}};
    CHECK(gantry_instance_stored(gateway, &instance.instance) == GANTRY_OK);
    instance.instance.struct_size = SIZE_MAX / 2;
    CHECK(gantry_instance_stored(gateway, &instance.instance) == GANTRY_OK);
    const size_t smallInstance[] = {0, 1, 8, sizeof instance.instance - 1};
    for (size_t index = 0; index < 4; index++) {
        instance.instance.struct_size = smallInstance[index];
        CHECK(gantry_instance_stored(gateway, &instance.instance) == GANTRY_BAD_STRUCT_SIZE);
    }
    struct {
        gantry_text text;
        char unknown[16];
    } text = {{0, NULL, 0}, {0}};
    CHECK(gantry_status_json(gateway, &text.text) == GANTRY_BAD_STRUCT_SIZE && text.text.bytes == NULL);
    text.text.bytes = (char *)0x10;
    gantry_text_free(&text.text); /* Of unknown size: left alone. */
    text.text.struct_size = sizeof text;
    CHECK(gantry_status_json(gateway, &text.text) == GANTRY_OK && text.unknown[0] == 0);
    gantry_text_free(&text.text);
    CHECK(gantry_close(gateway, 5000) == GANTRY_OK);
}

/* `count` bytes without a zero byte; reading one more is a fault. */
static char *unterminated(size_t count) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t room = (count + page - 1) / page * page;
    char *memory = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED && mprotect(memory + room, page, PROT_NONE) == 0);
    char *text = memory + room - count;
    memset(text, '1', count);
    return text;
}

static void bad_texts(void) {
    const gantry_host host = plain_host();
    gantry_gateway *gateway = NULL;
    gantry_options options = {.struct_size = sizeof options, .host = &host, .state_directory = ""};
    char reason[200] = "";
    CHECK(gantry_open(&options, &gateway, reason, sizeof reason) == GANTRY_BAD_ARGUMENT);
    CHECK(strstr(reason, "state_directory") != NULL);
    options.state_directory = unterminated(4001);
    CHECK(gantry_open(&options, &gateway, NULL, 0) == GANTRY_BAD_ARGUMENT);
    options.state_directory = NULL;
    options.name = unterminated(129);
    CHECK(gantry_open(&options, &gateway, NULL, 0) == GANTRY_BAD_ARGUMENT);
    options.name = "";
    CHECK(gantry_open(&options, &gateway, NULL, 0) == GANTRY_BAD_ARGUMENT);
    options.name = NULL;
    options.settings_json = unterminated(1048577);
    CHECK(gantry_open(&options, &gateway, reason, sizeof reason) == GANTRY_BAD_ARGUMENT);
    CHECK(strstr(reason, "settings_json") != NULL);
    options.settings_json = NULL;
    options.host_settings = unterminated(1048577);
    CHECK(gantry_open(&options, &gateway, NULL, 0) == GANTRY_BAD_ARGUMENT);

    gateway = open_plain("texts");
    gantry_text text = {.struct_size = sizeof text};
    gantry_instance instance = {sizeof instance, unterminated(129), NULL, NULL, 0};
    CHECK(gantry_instance_stored(gateway, &instance) == GANTRY_BAD_ARGUMENT);
    const char *const ids[] = {"", " ", "a b", "a\nb", "\x7f", "\xff\xfe", "\xc3\xa4", "\xed\xa0\x80", "\xf8\x88\x80"};
    for (size_t index = 0; index < sizeof ids / sizeof *ids; index++) {
        instance.instance_id = ids[index];
        CHECK(gantry_instance_stored(gateway, &instance) == GANTRY_BAD_ARGUMENT);
    }
    instance.instance_id = "good";
    instance.calling_ae_title = unterminated(65);
    CHECK(gantry_instance_stored(gateway, &instance) == GANTRY_OK); /* What is not an AE title is left out. */
    instance.calling_ae_title = "\xff\xc0\x80 \xe2\x82";
    CHECK(gantry_instance_stored(gateway, &instance) == GANTRY_OK);
    instance.bytes = "x";
    instance.size = SIZE_MAX; /* More than the window has room for: only the id is kept. */
    CHECK(gantry_instance_stored(gateway, &instance) == GANTRY_OK);
    instance.size = SIZE_MAX / 2;
    CHECK(gantry_instance_stored(gateway, &instance) == GANTRY_OK);
    CHECK(gantry_study_complete(gateway, unterminated(65)) == GANTRY_BAD_ARGUMENT);
    CHECK(gantry_study_complete(gateway, "") == GANTRY_BAD_ARGUMENT);
    CHECK(gantry_study_complete(gateway, "1.2'; DROP TABLE flag; --") == GANTRY_BAD_ARGUMENT);
    CHECK(gantry_study_complete(gateway, "\xff") == GANTRY_BAD_ARGUMENT);
    CHECK(gantry_study_json(gateway, unterminated(257), &text) == GANTRY_BAD_ARGUMENT);
    gantry_text_free(&text);
    CHECK(gantry_study_json(gateway, "\xff\xfe", &text) == GANTRY_NOT_FOUND);
    gantry_text_free(&text);
    CHECK(gantry_study_json(gateway, "' OR 1 = 1; --", &text) == GANTRY_NOT_FOUND);
    gantry_text_free(&text);
    char *body = unterminated(70000);
    CHECK(gantry_review(gateway, "1.2", body, 70000, &text) == GANTRY_BAD_ARGUMENT);
    gantry_text_free(&text);
    CHECK(gantry_review(gateway, "1.2", body, 65536, &text) == GANTRY_BAD_ARGUMENT);
    gantry_text_free(&text);
    CHECK(gantry_review(gateway, "1.2", body, SIZE_MAX, &text) == GANTRY_BAD_ARGUMENT);
    gantry_text_free(&text);
    memset(body, '[', 60000);
    CHECK(gantry_review(gateway, "1.2", body, 60000, &text) == GANTRY_BAD_ARGUMENT);
    gantry_text_free(&text);
    const char nul[] = "{\"finding\": \"\\u0000\", \"verdict\": \"agree\", \"reviewer\": \"a\0b\"}";
    CHECK(gantry_review(gateway, "1.2", nul, sizeof nul, &text) == GANTRY_BAD_ARGUMENT);
    gantry_text_free(&text);
    CHECK(gantry_worklist_json(gateway, UINT32_MAX, &text) == GANTRY_OK);
    gantry_text_free(&text);
    CHECK(gantry_close(gateway, 5000) == GANTRY_OK);
}

static void bad_settings(void) {
    char *deep = malloc(200001), *wide = malloc(1048000);
    memset(deep, '[', 200000), deep[200000] = 0;
    size_t length = (size_t)sprintf(wide, "{");
    while (length < 1000000) length += (size_t)sprintf(wide + length, "\"k%zu\": %zu, ", length, length);
    sprintf(wide + length, "\"k\": 0}");
    const char *const settings[] = {
        "", "[]", "{", "nul", "7", "\"text\"", "{}{}",
        "{\"Workers\": 7}", "{\"Workers\": []}", "{\"Workers\": [1, null]}",
        "{\"Workers\": [\"ipc://\"]}", "{\"Workers\": [\"ipc:///\\u0000\"]}", "{\"Workers\": [\"inproc://x\"]}",
        "{\"WindowMegabytes\": 1e999}", "{\"WindowMegabytes\": -1}", "{\"WindowMegabytes\": 99999999999999999999}",
        "{\"KeepDays\": {}}", "{\"Name\": \"\\ud800\"}", "{\"Name\": \"a\\nb\"}", "{\"Backfill\": \"yes\"}",
        "{\"Backfill\": true, \"Backfill\": 3}", "\xff\xfe\xfd", "{\"Name\": \"\xff\"}", "{'Name': 'x'}", deep, wide,
    };
    for (size_t index = 0; index < sizeof settings / sizeof *settings; index++) {
        const gantry_host host = plain_host();
        gantry_gateway *gateway = NULL;
        CHECK(open_with(&host, "settings", settings[index], &gateway) == GANTRY_OK);
        call_everything(gateway, -1);
        CHECK(gantry_close(gateway, 5000) == GANTRY_OK);
    }
    free(deep), free(wide);
}

static atomic_int closings;

static void *hammer(void *gateway) {
    while (atomic_load(&closings) == 0) call_everything(gateway, -1);
    call_everything(gateway, GANTRY_CLOSED);
    return NULL;
}

static void *close_it(void *gateway) {
    const int32_t code = gantry_close(gateway, 10000);
    CHECK(code == GANTRY_OK || code == GANTRY_CLOSED);
    /* The other closer may still be at it; but the handle is closed. */
    call_everything(gateway, GANTRY_CLOSED);
    atomic_fetch_add(&closings, 1);
    return NULL;
}

static void close_under_fire(void) {
    for (int round = 0; round < 10; round++) {
        atomic_store(&closings, 0);
        const int before = atomic_load(&destroyed);
        gantry_gateway *gateway = open_plain("fire");
        pthread_t threads[18];
        for (int index = 0; index < 16; index++) pthread_create(&threads[index], NULL, hammer, gateway);
        pause_milliseconds(round * 3);
        for (int index = 16; index < 18; index++) pthread_create(&threads[index], NULL, close_it, gateway);
        for (int index = 0; index < 18; index++) pthread_join(threads[index], NULL);
        CHECK(atomic_load(&destroyed) == before + 1);
    }
}

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

static bool status_says(gantry_gateway *gateway, const char *words) {
    gantry_text text = {.struct_size = sizeof text};
    CHECK(gantry_status_json(gateway, &text) == GANTRY_OK);
    const bool says = strstr(text.bytes, words) != NULL;
    gantry_text_free(&text);
    return says;
}

static void two_gateways(void) {
    gantry_gateway *first = open_plain("first"), *second = open_plain("second");
    CHECK(status_says(first, "\"gateway\":\"first\"") && status_says(second, "\"gateway\":\"second\""));
    CHECK(gantry_close(first, 5000) == GANTRY_OK);
    call_everything(first, GANTRY_CLOSED);
    CHECK(status_says(second, "\"state\":\"ok\""));
    CHECK(gantry_close(second, 5000) == GANTRY_OK);

    /* Two on one directory: the second waits for the first, and takes what is handed over meanwhile. */
    first = open_plain("shared"), second = open_plain("shared");
    CHECK(status_says(second, "another gateway uses") && status_says(first, "\"state\":\"ok\""));
    const gantry_instance instance = {sizeof instance, "waits", NULL, "x", 1};
    CHECK(gantry_instance_stored(second, &instance) == GANTRY_OK);
    CHECK(gantry_close(first, 5000) == GANTRY_OK);
    WAIT_UNTIL(status_says(second, "\"waiting\":1,"));
    CHECK(gantry_close(second, 5000) == GANTRY_OK);
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

#define RUN(misuse)                  \
    do {                             \
        misuse;                      \
        printf("ok %s\n", #misuse);  \
        fflush(stdout);              \
    } while (0)

int main(int count, char **arguments) {
    CHECK(count == 2 || count > 4);
    folder = arguments[1];
    CHECK(gantry_abi_version() == GANTRY_ABI_VERSION && strlen(gantry_version()) > 0);
    if (count > 4) {
        files = arguments + 4;
        file_count = count - 4;
        RUN(moody_host(arguments[2], arguments[3]));
        return 0;
    }
    RUN(nulls());
    RUN(garbage_handles());
    RUN(closed_handle());
    RUN(wrong_sizes());
    RUN(bad_texts());
    RUN(bad_settings());
    RUN(calls_from_callbacks());
    RUN(two_gateways());
    RUN(rubbish_from_the_log());
    RUN(close_under_fire());
    RUN(callbacks_that_hang());
    return 0;
}
