/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * libFuzzer target over gantry.h: the input is a program of calls with hostile arguments, and says how the host's
 * callbacks behave. Every call must return a code of the header, and every gateway must close in time. */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gantry.h"

enum { DIRECTORIES = 2, HANDLES = 4, MOODS = 8 };

/* In memory: each input begins with an empty database. */
static char folder[] = "/dev/shm/gantry-abi-XXXXXX";
static char directories[DIRECTORIES][64];
/* How callbacks behave, from the input; they run on other threads, which read whatever is there. */
static volatile uint8_t moods[MOODS];

static void fail(const char *what) {
    fprintf(stderr, "abi: %s\n", what);
    abort();
}

/* The input, read from its beginning. */
typedef struct {
    const uint8_t *next;
    size_t left;
} input;

static uint8_t take(input *data) {
    if (data->left == 0) return 0;
    data->left--;
    return *data->next++;
}

/* A text of its own, so that AddressSanitizer sees each byte too many; null for length 255. */
static char *take_text(input *data) {
    const uint8_t first = take(data);
    if (first == 255) return NULL;
    /* Rarely a long one: longer than any limit of the header. */
    const size_t stretch = first == 254 ? 70000 : 0;
    size_t length = first == 253 ? take(data) * 8 : first;
    if (length > data->left) length = data->left;
    char *text = malloc(length + stretch + 1);
    memcpy(text, data->next, length);
    memset(text + length, 'x', stretch);
    text[length + stretch] = 0;
    data->next += length;
    data->left -= length;
    return text;
}

static size_t take_size(input *data, size_t right) {
    const uint8_t choice = take(data);
    if (choice < 240) return right;
    static const size_t sizes[] = {0, 1, 8, SIZE_MAX};
    return choice < 244 ? sizes[choice - 240] : choice < 248 ? right - 1 : right; /* Larger needs a larger struct. */
}

/* Callbacks */

static int32_t read_instance(void *context, const char *id, void **bytes, size_t *size) {
    (void)context, (void)id;
    if (moods[0] & 1) *bytes = malloc(16), memset(*bytes, 'D', 16), *size = 16;
    return moods[0] & 1 ? GANTRY_OK : (int32_t)moods[0] - 128;
}

static int32_t resolve_study(void *context, const char *id, char *study, size_t capacity) {
    (void)context, (void)id;
    memset(study, moods[1], capacity);
    return (int32_t)(moods[1] & 15) - 4;
}

static int32_t read_log(void *context, const char *position, gantry_log_page *page) {
    (void)context;
    char text[300];
    memset(text, moods[2], sizeof text);
    text[moods[3]] = 0;
    for (int count = moods[4] & 31; count > 0; count--) page->add(page->sink, text + (count & 15));
    if (moods[5] & 1) page->end(moods[5] & 2 ? page->sink : NULL, moods[5] & 4 ? position : text, moods[5] & 8);
    return moods[5] & 16 ? (int32_t)moods[5] : GANTRY_OK;
}

static void write_log(void *context, int32_t level, const char *line) {
    (void)context;
    if (level < 0 || level > 2 || strchr(line, '\n') != NULL) fail("a line that is none");
}

static void add_metric(void *sink, const gantry_metric *metric) {
    (void)sink;
    if (metric->family == NULL || metric->name == NULL || metric->labels == NULL) fail("a metric without names");
}

/* The program */

static gantry_gateway *handles[HANDLES];

static gantry_gateway *take_handle(input *data) {
    const uint8_t choice = take(data);
    if (choice < 240) return handles[choice % HANDLES];
    return choice < 245 ? NULL : (gantry_gateway *)(uintptr_t)(choice * (uintptr_t)0x1000193);
}

static int32_t open_one(input *data, gantry_gateway **gateway) {
    const uint8_t optional = take(data);
    gantry_host host = {.struct_size = take_size(data, sizeof host), .log = write_log, .read_instance = read_instance,
                        .resolve_study = resolve_study, .read_log = read_log};
    if (optional & 1) host.log = NULL;
    if (optional & 2) host.resolve_study = NULL;
    if (optional & 4) host.read_log = NULL;
    char *settings = take_text(data), *names = take_text(data), *name = take_text(data);
    /* The input does not choose where files are written. */
    if (settings != NULL && (strstr(settings, "Dir") != NULL || strstr(settings, "\\u") != NULL)) settings[0] = 0;
    const gantry_options options = {
        .struct_size = take_size(data, sizeof options), .host = optional & 8 ? NULL : &host, .settings_json = settings,
        .host_settings = names, .state_directory = directories[optional >> 7], .name = name};
    char reason[40];
    memset(reason, 'r', sizeof reason);
    const size_t capacity = (optional >> 4) & 7;
    const int32_t code = gantry_open(&options, gateway, reason, capacity);
    if (code == GANTRY_OK && *gateway == NULL) fail("opened nothing");
    if (code != GANTRY_OK && *gateway != NULL) fail("a handle beside an error");
    if (code != GANTRY_OK && capacity > 0 && memchr(reason, 0, capacity) == NULL) fail("a reason without an end");
    free(settings), free(names), free(name);
    return code;
}

static int32_t store(input *data, gantry_gateway *gateway) {
    char *id = take_text(data), *title = take_text(data), *bytes = take_text(data);
    const gantry_instance instance = {take_size(data, sizeof instance), id, title, bytes,
                                      bytes != NULL ? strlen(bytes) : take(data)};
    const int32_t code = gantry_instance_stored(gateway, take(data) == 255 ? NULL : &instance);
    free(id), free(title), free(bytes);
    return code;
}

static int32_t ask(input *data, gantry_gateway *gateway, uint8_t call) {
    gantry_text text = {take_size(data, sizeof text), NULL, 0};
    gantry_text *answer = take(data) == 255 ? NULL : &text;
    char *study = take_text(data), *json = take_text(data);
    int32_t code = GANTRY_OK;
    if (call == 0) code = gantry_status_json(gateway, answer);
    if (call == 1) code = gantry_worklist_json(gateway, take(data) * 0x1010101u, answer);
    if (call == 2) code = gantry_study_json(gateway, study, answer);
    if (call == 3) code = gantry_review(gateway, study, json, json != NULL ? strlen(json) : take(data), answer);
    if (call == 4) code = gantry_priors_json(gateway, study, answer);
    if (code == GANTRY_OK && (text.bytes == NULL || strlen(text.bytes) != text.length)) fail("an answer without text");
    gantry_text_free(answer);
    free(study), free(json);
    return code;
}

static void forget_state(void) {
    static const char *const names[] = {"gateway.sqlite", "gateway.sqlite-wal", "gateway.sqlite-shm", "gateway.origin"};
    for (int index = 0; index < DIRECTORIES; index++)
        for (int name = 0; name < 4; name++) {
            char path[128];
            snprintf(path, sizeof path, "%s/%s", directories[index], names[name]);
            unlink(path);
        }
}

static void forget_everything(void) {
    forget_state();
    for (int index = 0; index < DIRECTORIES; index++) {
        char path[128];
        snprintf(path, sizeof path, "%s/gateway.lock", directories[index]);
        unlink(path);
        rmdir(directories[index]);
    }
    rmdir(folder);
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    (void)count, (void)arguments;
    if (mkdtemp(folder) == NULL) fail("cannot make a folder in /dev/shm");
    for (int index = 0; index < DIRECTORIES; index++) snprintf(directories[index], 64, "%s/%d", folder, index);
    atexit(forget_everything);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    input data = {bytes, count};
    memset(handles, 0, sizeof handles);
    forget_state();
    int opened = 0;
    for (int calls = 0; calls < 64 && data.left > 0; calls++) {
        const uint8_t call = take(&data) % 14;
        int32_t code = GANTRY_OK;
        if (call == 0) {
            if (opened < HANDLES) code = open_one(&data, &handles[opened]);
            if (code == GANTRY_OK && opened < HANDLES) opened++;
        } else if (call == 1) {
            for (int mood = 0; mood < MOODS; mood++) moods[mood] = take(&data);
        } else {
            gantry_gateway *gateway = take_handle(&data);
            char *text = call == 3 ? take_text(&data) : NULL;
            if (call == 2) code = store(&data, gateway);
            if (call == 3) code = gantry_study_complete(gateway, text);
            if (call == 4) code = gantry_reconcile(gateway);
            if (call == 5) code = gantry_host_ready(gateway);
            if (call == 6) code = gantry_accepts(gateway);
            if (call == 7) code = gantry_metrics(gateway, NULL, take(&data) == 255 ? NULL : add_metric);
            if (call == 8) code = gantry_close(gateway, 20000);
            if (call > 8) code = ask(&data, gateway, (call - 9) % 5);
            free(text);
        }
        if (code < GANTRY_OK || code > GANTRY_WRONG_THREAD) fail("a code that the header does not know");
        if (code == GANTRY_TIMEOUT || code == GANTRY_WRONG_THREAD) fail("a gateway did not close");
    }
    for (int index = 0; index < opened; index++) {
        const int32_t code = gantry_close(handles[index], 20000);
        if (code != GANTRY_OK && code != GANTRY_CLOSED) fail("a gateway did not close at the end");
    }
    return 0;
}
