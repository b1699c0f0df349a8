// SPDX-License-Identifier: GPL-3.0-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "include/gantry_sandbox.h"
#include "report.h"

/// What the child finds at 2, GS_CHANNEL, GS_REPORT, GS_FIRST…
enum { handed_on = 3 + GS_MOST_DESCRIPTORS };

static int spawn(
    const char *path, char *const arguments[], char *const environment[], const int *descriptors, size_t count,
    pid_t *process) {
    // Duplicates above the targets, so that no dup2 overwrites another's source.
    int sources[handed_on];
    size_t made = 0;
    int code = 0;
    for (; code == 0 && made < count; ++made) {
        sources[made] = fcntl(descriptors[made], F_DUPFD_CLOEXEC, 32);
        if (sources[made] < 0) code = errno;
    }
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    if (code == 0) code = posix_spawn_file_actions_init(&actions);
    if (code == 0) {
        code = posix_spawnattr_init(&attributes);
        if (code == 0) {
            sigset_t none, all;
            sigemptyset(&none);
            sigfillset(&all);
            // Ctrl-C at a terminal is for us; we end our children ourselves.
            code = posix_spawnattr_setflags(
                &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
            if (code == 0) code = posix_spawnattr_setpgroup(&attributes, 0);
            if (code == 0) code = posix_spawnattr_setsigmask(&attributes, &none);
            if (code == 0) code = posix_spawnattr_setsigdefault(&attributes, &all);
            if (code == 0) code = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
            if (code == 0) code = posix_spawn_file_actions_adddup2(&actions, 0, 1);
            for (size_t i = 0; code == 0 && i < count; ++i)
                code = posix_spawn_file_actions_adddup2(&actions, sources[i], 2 + (int)i);
            if (code == 0) code = posix_spawn_file_actions_addclosefrom_np(&actions, 2 + (int)count);
            if (code == 0) code = posix_spawn(process, path, &actions, &attributes, arguments, environment);
            posix_spawnattr_destroy(&attributes);
        }
        posix_spawn_file_actions_destroy(&actions);
    }
    for (size_t i = 0; i < made; ++i)
        if (sources[i] >= 0) close(sources[i]);
    return code;
}

int gs_start(
    const char *path, char *const arguments[], char *const environment[], const int *descriptors, size_t count,
    struct gs_child *child) {
    if (count > GS_MOST_DESCRIPTORS) return EINVAL;
    int channel[2] = {-1, -1}, errors[2] = {-1, -1}, report = -1, code = 0;
    void *page = MAP_FAILED;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) != 0) code = errno;
    // A full pipe loses what is written, so that a process that says much neither waits for us nor fills a log.
    if (code == 0 && pipe2(errors, O_CLOEXEC | O_NONBLOCK) != 0) code = errno;
    if (code == 0) code = gs_memory(sizeof(struct report), &report);
    if (code == 0) {
        page = mmap(NULL, sizeof(struct report), PROT_READ, MAP_SHARED, report, 0);
        if (page == MAP_FAILED) code = errno;
    }
    if (code == 0) {
        int all[handed_on] = {errors[1], channel[1], report};
        for (size_t i = 0; i < count; ++i) all[3 + i] = descriptors[i];
        code = spawn(path, arguments, environment, all, 3 + count, &child->process);
    }
    if (channel[1] >= 0) close(channel[1]);
    if (errors[1] >= 0) close(errors[1]);
    if (report >= 0) close(report);
    if (code != 0) {
        if (channel[0] >= 0) close(channel[0]);
        if (errors[0] >= 0) close(errors[0]);
        if (page != MAP_FAILED) munmap(page, sizeof(struct report));
        return code;
    }
    child->channel = channel[0];
    child->errors = errors[0];
    child->report = page;
    return 0;
}

size_t gs_errors(const struct gs_child *child, char *text, size_t capacity) {
    const ssize_t count = read(child->errors, text, capacity);
    return count < 0 ? 0 : (size_t)count;
}

int gs_stop(const struct gs_child *child) {
    kill(child->process, SIGKILL);
    int status = 0;
    while (waitpid(child->process, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

void gs_end(struct gs_child *child) {
    close(child->channel);
    close(child->errors);
    munmap((void *)child->report, sizeof(struct report));
    child->channel = child->errors = -1;
    child->report = NULL;
}
