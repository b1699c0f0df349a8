/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What misuse.c and callbacks.c share: hosts, and one call of every function. */
#ifndef MISUSE_H
#define MISUSE_H

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

static inline void pause_milliseconds(long milliseconds) {
    nanosleep(&(struct timespec){.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000}, NULL);
}

static inline double seconds(void) {
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

static inline int32_t no_instance(void *context, const char *id, void **bytes, size_t *size) {
    (void)context, (void)id, (void)bytes, (void)size;
    return GANTRY_NOT_FOUND;
}

static atomic_int destroyed;
static inline void count_destroy(void *context) {
    (void)context;
    atomic_fetch_add(&destroyed, 1);
}

static inline gantry_host plain_host(void) {
    gantry_host host = {.struct_size = sizeof host, .read_instance = no_instance, .destroy = count_destroy};
    return host;
}

static inline int32_t open_with(const gantry_host *host, const char *name, const char *settings, gantry_gateway **gateway) {
    char directory[4096];
    snprintf(directory, sizeof directory, "%s/%s", folder, name);
    const gantry_options options = {.struct_size = sizeof options, .host = host, .settings_json = settings,
                                    .state_directory = directory, .name = name};
    return gantry_open(&options, gateway, NULL, 0);
}

static inline gantry_gateway *open_plain(const char *name) {
    const gantry_host host = plain_host();
    gantry_gateway *gateway = NULL;
    CHECK(open_with(&host, name, "{\"Workers\": [\"ipc:///nowhere/worker.ipc\"]}", &gateway) == GANTRY_OK);
    CHECK(gantry_host_ready(gateway) == GANTRY_OK);
    return gateway;
}

static inline void count_metric(void *sink, const gantry_metric *metric) {
    CHECK(metric->struct_size >= sizeof *metric && metric->family[0] != 0 && metric->labels != NULL);
    ++*(int *)sink;
}

/* Every function that takes a handle; `expected` < 0: any code. */
static inline void call_everything(gantry_gateway *gateway, int32_t expected) {
    const gantry_instance instance = {sizeof instance, "an-instance", "SCANNER", "DICM", 4};
    const char review[] = "{\"finding\": \"x\", \"verdict\": \"agree\", \"reviewer\": \"r\"}";
    int metrics = 0;
    uint64_t version = 0;
    const int32_t codes[] = {
        gantry_host_ready(gateway),
        gantry_instance_stored(gateway, &instance),
        gantry_study_complete(gateway, "1.2.3"),
        gantry_reconcile(gateway),
        gantry_accepts(gateway),
        gantry_metrics(gateway, &metrics, count_metric),
        gantry_worklist_version(gateway, &version),
    };
    for (int index = 0; index < 7; index++) CHECK(expected < 0 || codes[index] == expected);
    CHECK((codes[5] == GANTRY_OK) == (metrics > 0));
    for (int getter = 0; getter < 5; getter++) {
        gantry_text text = {sizeof text, (char *)0x10, 7}; /* Emptied by the call, so that freeing it is safe. */
        int32_t code = GANTRY_OK;
        if (getter == 0) code = gantry_status_json(gateway, &text);
        if (getter == 1) code = gantry_worklist_json(gateway, 3, &text);
        if (getter == 2) code = gantry_study_json(gateway, "1.2.3", &text);
        if (getter == 4) code = gantry_priors_json(gateway, "1.2.3", &text);
        if (getter == 3) code = gantry_review(gateway, "1.2.3", review, sizeof review - 1, &text);
        CHECK(expected < 0 || code == expected);
        CHECK(text.bytes == NULL || strlen(text.bytes) == text.length);
        gantry_text_free(&text);
        gantry_text_free(&text);
    }
}

static inline bool status_says(gantry_gateway *gateway, const char *words) {
    gantry_text text = {.struct_size = sizeof text};
    CHECK(gantry_status_json(gateway, &text) == GANTRY_OK);
    const bool says = strstr(text.bytes, words) != NULL;
    gantry_text_free(&text);
    return says;
}

#define RUN(misuse)                  \
    do {                             \
        misuse;                      \
        printf("ok %s\n", #misuse);  \
        fflush(stdout);              \
    } while (0)

#endif
