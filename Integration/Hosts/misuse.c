/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a C programmer can do wrong when calling gantry.h. Each function below is one kind of misuse; every call must
 * return a code, in time, without a crash. Built with AddressSanitizer by test_15_abi.py.
 *
 *   misuse FOLDER */
#define _GNU_SOURCE
#include "misuse.h"

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
    CHECK(gantry_worklist_version(gateway, NULL) == GANTRY_BAD_ARGUMENT);
    CHECK(gantry_priors_json(gateway, "1.2", NULL) == GANTRY_BAD_ARGUMENT);
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

int main(int count, char **arguments) {
    CHECK(count == 2);
    folder = arguments[1];
    CHECK(gantry_abi_version() == GANTRY_ABI_VERSION && strlen(gantry_version()) > 0);
    RUN(nulls());
    RUN(garbage_handles());
    RUN(closed_handle());
    RUN(wrong_sizes());
    RUN(bad_texts());
    RUN(bad_settings());
    RUN(two_gateways());
    RUN(close_under_fire());
    return 0;
}
