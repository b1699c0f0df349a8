/* SPDX-License-Identifier: GPL-3.0-or-later
 * A whole host of gantry.h. Its archive is the list of files on the command line, an instance's id is its place there.
 * Prints each flag as it comes, then what is known of the study.   cc -std=c11 -Iplugin/include example.c -lgantry
 *   ./example STATE-DIRECTORY '{"Workers": ["ipc:///run/gantry/worker.ipc"]}' FILE... */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include "gantry.h"

static char study[65];
static atomic_int finished; /* Set when `study` is. */

static void write_log(void *files, int32_t level, const char *line) {
    (void)files;
    fprintf(stderr, "%s %s\n", level == GANTRY_LEVEL_INFO ? "info" : "warning", line);
}
static int32_t read_instance(void *files, const char *id, void **bytes, size_t *size) {
    FILE *file = fopen(((char **)files)[atoi(id)], "rb");
    if (file == NULL) return GANTRY_NOT_FOUND;
    const long length = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : 0;
    rewind(file);
    *bytes = length > 0 ? malloc((size_t)length) : NULL;
    *size = *bytes != NULL ? fread(*bytes, 1, (size_t)length, file) : 0;
    fclose(file);
    return *bytes != NULL ? GANTRY_OK : GANTRY_UNAVAILABLE;
}
static int32_t flag_changed(void *files, const gantry_flag *flag) {
    (void)files;
    printf("%s %s %s\n", flag->study_instance_uid, flag->state, flag->urgency);
    if (strcmp(flag->state, "final") == 0 && !atomic_load(&finished)) strncpy(study, flag->study_instance_uid, 64);
    atomic_store(&finished, study[0] != 0);
    return GANTRY_OK;
}

int main(int count, char **arguments) {
    if (count < 4) return fprintf(stderr, "usage: example STATE-DIRECTORY SETTINGS-JSON FILE...\n"), 2;
    const gantry_host host = {sizeof host, .context = arguments, .log = write_log, .read_instance = read_instance,
                              .flag_changed = flag_changed};
    const gantry_options options = {sizeof options, .host = &host, .name = "example", .state_directory = arguments[1],
                                    .settings_json = arguments[2]};
    gantry_gateway *gateway;
    char error[256] = "";
    if (gantry_open(&options, &gateway, error, sizeof error) != GANTRY_OK) return fprintf(stderr, "%s\n", error), 1;
    gantry_host_ready(gateway);
    for (int number = 3; number < count; number++) {
        char id[16];
        snprintf(id, sizeof id, "%d", number);
        void *bytes = NULL; /* Without bytes Gantry calls read_instance when it is this one's turn. */
        size_t size = 0;
        read_instance(arguments, id, &bytes, &size);
        const gantry_instance instance = {sizeof instance, id, "SCANNER", bytes, size};
        if (gantry_instance_stored(gateway, &instance) != GANTRY_OK) fprintf(stderr, "%s: not taken\n", id);
        free(bytes);
    }
    for (int tenths = 0; tenths < 600 && !atomic_load(&finished); tenths++)
        thrd_sleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    gantry_text text = {sizeof text, NULL, 0};
    const int32_t code = gantry_study_json(gateway, study, &text); /* Asking, where a callback is not wanted. */
    if (code == GANTRY_OK) printf("%s\n", text.bytes);
    gantry_text_free(&text);
    return gantry_close(gateway, 5000) == GANTRY_OK ? code : 1;
}
