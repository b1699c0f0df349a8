// SPDX-License-Identifier: GPL-3.0-or-later
#define _GNU_SOURCE
#include "include/gantry_decoding.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

int gd_memory(size_t bytes, int *descriptor) {
    const int memory = memfd_create("gantry-decoder", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0) return errno;
    // Sealed: a decoder that shrank it would fault us when we read.
    if (ftruncate(memory, (off_t)bytes) != 0 ||
        fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        const int code = errno;
        close(memory);
        return code;
    }
    *descriptor = memory;
    return 0;
}

int gd_release(int memory, size_t offset, size_t bytes) {
    return fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes) == 0 ? 0 : errno;
}

int gd_channel(int *ours, int *theirs) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return errno;
    *ours = ends[0];
    *theirs = ends[1];
    return 0;
}

/// Our environment, but that a crash ends the decoder at once: the Swift runtime's backtraces take seconds, show memory,
/// and let a process go on that got its signal from outside. Freed by the caller; the texts are borrowed.
static char **decoder_environment(void) {
    static char no_backtrace[] = "SWIFT_BACKTRACE=enable=no";
    size_t count = 0, kept = 0;
    while (environ[count] != NULL) ++count;
    char **copy = calloc(count + 2, sizeof *copy);
    if (copy == NULL) return NULL;
    for (size_t i = 0; i < count; ++i)
        if (strncmp(environ[i], "SWIFT_BACKTRACE=", 16) != 0) copy[kept++] = environ[i];
    copy[kept] = no_backtrace;
    return copy;
}

int gd_spawn(const char *path, char *const arguments[], int channel, int memory, pid_t *process) {
    // Duplicates above the targets, so that neither dup2 overwrites the other's source.
    const int safe_channel = fcntl(channel, F_DUPFD_CLOEXEC, 16), safe_memory = fcntl(memory, F_DUPFD_CLOEXEC, 16);
    int code = safe_channel < 0 || safe_memory < 0 ? errno : 0;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    if (code == 0) code = posix_spawn_file_actions_init(&actions);
    if (code == 0) {
        code = posix_spawnattr_init(&attributes);
        if (code == 0) {
            sigset_t none, all;
            sigemptyset(&none);
            sigfillset(&all);
            // Ctrl-C at a terminal is for us; we end our decoders ourselves.
            if (code == 0)
                code = posix_spawnattr_setflags(
                    &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
            if (code == 0) code = posix_spawnattr_setpgroup(&attributes, 0);
            if (code == 0) code = posix_spawnattr_setsigmask(&attributes, &none);
            if (code == 0) code = posix_spawnattr_setsigdefault(&attributes, &all);
            if (code == 0) code = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
            if (code == 0) code = posix_spawn_file_actions_adddup2(&actions, 0, 1);
            if (code == 0) code = posix_spawn_file_actions_adddup2(&actions, safe_channel, GD_CHANNEL);
            if (code == 0) code = posix_spawn_file_actions_adddup2(&actions, safe_memory, GD_MEMORY);
            if (code == 0) code = posix_spawn_file_actions_addclosefrom_np(&actions, GD_MEMORY + 1);
            char **environment = decoder_environment();
            if (code == 0 && environment == NULL) code = ENOMEM;
            if (code == 0) code = posix_spawn(process, path, &actions, &attributes, arguments, environment);
            free(environment);
            posix_spawnattr_destroy(&attributes);
        }
        posix_spawn_file_actions_destroy(&actions);
    }
    if (safe_channel >= 0) close(safe_channel);
    if (safe_memory >= 0) close(safe_memory);
    return code;
}

static int limit(__rlimit_resource_t resource, uint64_t value) {
    struct rlimit bounds;
    if (getrlimit(resource, &bounds) != 0) return errno;
    // A lower limit that an administrator has set stays.
    if (bounds.rlim_max == RLIM_INFINITY || bounds.rlim_max > value) bounds.rlim_max = value;
    bounds.rlim_cur = bounds.rlim_max;
    return setrlimit(resource, &bounds) == 0 ? 0 : errno;
}

int gd_confine(uint64_t private_bytes, uint64_t address_bytes) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
    // Best effort: where /proc is not there the kernel chooses by size.
    const int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0) {
        const ssize_t written = write(score, "1000", 4);
        (void)written;
        close(score);
    }
    int code = limit(RLIMIT_CORE, 0);
    if (code == 0) code = limit(RLIMIT_DATA, private_bytes);
    if (code == 0) code = limit(RLIMIT_AS, address_bytes);
    return code;
}

static int64_t now_milliseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

int gd_receive(int channel, void *buffer, size_t capacity, int64_t milliseconds, size_t *count) {
    const int64_t deadline = milliseconds < 0 ? -1 : now_milliseconds() + milliseconds;
    while (1) {
        int wait = -1;
        if (deadline >= 0) {
            const int64_t left = deadline - now_milliseconds();
            wait = left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
        }
        struct pollfd waiting = {channel, POLLIN, 0};
        const int ready = poll(&waiting, 1, wait);
        if (ready < 0 && errno != EINTR) return errno;
        if (ready == 0 && deadline >= 0 && now_milliseconds() >= deadline) return ETIMEDOUT;
        if (ready <= 0) continue;
        // MSG_TRUNC gives the real size of a message that is larger than the buffer.
        const ssize_t received = recv(channel, buffer, capacity, MSG_TRUNC);
        if (received < 0) {
            if (errno == EINTR || errno == EAGAIN) continue;
            return errno == ECONNRESET ? EPIPE : errno;
        }
        if (received == 0) return EPIPE;
        if ((size_t)received > capacity) return EMSGSIZE;
        *count = (size_t)received;
        return 0;
    }
}

int gd_send(int channel, const void *bytes, size_t count) {
    while (1) {
        if (send(channel, bytes, count, MSG_NOSIGNAL) >= 0) return 0;
        if (errno == EINTR) continue;
        return errno == ECONNRESET || errno == ECONNREFUSED || errno == ENOTCONN ? EPIPE : errno;
    }
}
