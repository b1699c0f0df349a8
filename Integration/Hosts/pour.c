/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A gateway without DICOM that pours made-up instances into libgantry as fast as told, to measure what a backlog and
 * the hook cost. It keeps no instance: its archive makes the same bytes again when Gantry reads one back.
 *
 *   pour LIBGANTRY STATE-FOLDER SETTINGS-JSON COUNT BYTES PER-SECOND
 *
 * Prints one line of JSON with what it cost when all instances are in the outbox or with the worker, then another one
 * for each line it reads, and ends when its input does. PER-SECOND 0: without a pause.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gantry.h"

/* As many sources as a gateway has in its hands, so that the copy does not come from the same cache lines. */
enum { sources = 16 };

static size_t instance_bytes;
static atomic_long stored;

static void write_log(void *context, int32_t level, const char *line) {
    (void)context;
    if (level != GANTRY_LEVEL_INFO) fprintf(stderr, "%s\n", line);
}

static int32_t read_instance(void *context, const char *id, void **bytes, size_t *size) {
    (void)context;
    (void)id;
    *bytes = malloc(instance_bytes);
    if (*bytes == NULL) return GANTRY_NO_RESOURCES;
    memset(*bytes, 1, instance_bytes);
    *size = instance_bytes;
    return GANTRY_OK;
}

/* As long as Orthanc's ids are. */
static void name(char id[64], long number) {
    snprintf(id, 64, "%08lx-00000000-00000000-00000000-%08lx", number, number);
}

static int32_t read_log(void *context, const char *position, gantry_log_page *page) {
    (void)context;
    const long end = atomic_load(&stored);
    long next = position == NULL ? end : strtol(position, NULL, 10);
    char text[64];
    for (int on_page = 0; next < end && on_page < 1000; on_page++) {
        name(text, next++);
        page->add(page->sink, text);
    }
    snprintf(text, sizeof text, "%ld", next);
    page->end(page->sink, text, next < end);
    return GANTRY_OK;
}

static double seconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void *function(void *library, const char *name) {
    void *found = dlsym(library, name);
    if (found == NULL) {
        fprintf(stderr, "pour: %s\n", dlerror());
        exit(2);
    }
    return found;
}

/* Kilobytes that /proc/self/status states, 0 when it does not. */
static long memory(const char *what) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long kilobytes = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, what, strlen(what)) == 0) kilobytes = strtol(line + strlen(what) + 1, NULL, 10);
    if (file != NULL) fclose(file);
    return kilobytes;
}

/* A figure of the status by its name; -1 when it is not there. */
static double figure(const char *status, const char *name) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *found = status == NULL ? NULL : strstr(status, key);
    return found == NULL ? -1 : strtod(found + strlen(key), NULL);
}

int main(int count, char **arguments) {
    if (count != 7) {
        fprintf(stderr, "usage: pour LIBGANTRY STATE-FOLDER SETTINGS-JSON COUNT BYTES PER-SECOND\n");
        return 2;
    }
    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "pour: %s\n", dlerror());
        return 2;
    }
    __typeof__(&gantry_open) open = function(library, "gantry_open");
    __typeof__(&gantry_host_ready) host_ready = function(library, "gantry_host_ready");
    __typeof__(&gantry_close) close = function(library, "gantry_close");
    __typeof__(&gantry_instance_stored) instance_stored = function(library, "gantry_instance_stored");
    __typeof__(&gantry_status_json) status_json = function(library, "gantry_status_json");
    __typeof__(&gantry_text_free) text_free = function(library, "gantry_text_free");

    const long instances = atol(arguments[4]);
    instance_bytes = (size_t)atol(arguments[5]);
    const double pause = atof(arguments[6]) > 0 ? 1 / atof(arguments[6]) : 0;
    gantry_host host = {.struct_size = sizeof host, .log = write_log, .read_instance = read_instance, .read_log = read_log};
    gantry_options options = {.struct_size = sizeof options, .host = &host, .settings_json = arguments[3],
                              .state_directory = arguments[2], .name = "pour"};
    gantry_gateway *gateway = NULL;
    char error[512] = "";
    if (open(&options, &gateway, error, sizeof error) != GANTRY_OK) {
        fprintf(stderr, "pour: %s\n", error);
        return 1;
    }
    host_ready(gateway);

    char *source = malloc(sources * instance_bytes + 1);
    if (source == NULL) return 1;
    memset(source, 1, sources * instance_bytes + 1);
    const struct timespec tick = {.tv_nsec = 20000000};
    if (strstr(arguments[3], "\"Workers\": []") == NULL) {
        /* Lets a worker that is there say so. */
        for (int turn = 0; turn < 25; turn++) nanosleep(&tick, NULL);
    }
    const double began = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    const double mine = seconds(CLOCK_THREAD_CPUTIME_ID);
    double hook = 0;
    for (long number = 0; number < instances; number++) {
        const double due = began + pause * (double)number;
        const struct timespec until = {.tv_sec = (time_t)due, .tv_nsec = (long)((due - (double)(time_t)due) * 1e9)};
        if (pause > 0) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        char id[64];
        name(id, number);
        /* A gateway has just received the instance. */
        char *bytes = source + (size_t)(number % sources) * instance_bytes;
        memset(bytes, (int)number, instance_bytes);
        gantry_instance instance = {.struct_size = sizeof instance, .instance_id = id, .calling_ae_title = "SCANNER",
                                    .bytes = bytes, .size = instance_bytes};
        atomic_store(&stored, number + 1);
        const double before = seconds(CLOCK_THREAD_CPUTIME_ID);
        instance_stored(gateway, &instance);
        hook += seconds(CLOCK_THREAD_CPUTIME_ID) - before;
    }
    const double poured = seconds(CLOCK_MONOTONIC) - began;
    /* What this thread did but for the hook is not Gantry's. */
    const double own = seconds(CLOCK_THREAD_CPUTIME_ID) - mine - hook;
    double used = 0;
    char line[16] = "";
    do {
        gantry_text status = {.struct_size = sizeof status};
        double settled = 0;
        for (int turn = 0; turn < 3000; turn++) {
            /* Before the status, which costs something itself. */
            if (turn == 0 && used == 0) used = seconds(CLOCK_PROCESS_CPUTIME_ID);
            text_free(&status);
            status_json(gateway, &status);
            settled = figure(status.bytes, "scored") + figure(status.bytes, "waiting");
            if (figure(status.bytes, "scored") < 0) settled += 1;
            if (settled >= (double)instances) break;
            nanosleep(&tick, NULL);
        }
        printf("{\"instances\": %ld, \"seconds\": %.3f, \"cpu_us\": %.1f, \"rss_kb\": %ld, \"anonymous_kb\": %ld, \"status\": %s}\n",
               instances, poured, (used - cpu - own) / (double)(instances > 0 ? instances : 1) * 1e6,
               memory("VmRSS"), memory("RssAnon"), status.bytes == NULL ? "null" : status.bytes);
        fflush(stdout);
        text_free(&status);
    } while (fgets(line, sizeof line, stdin) != NULL);
    close(gateway, 5000);
    return 0;
}
