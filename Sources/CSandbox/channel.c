// SPDX-License-Identifier: GPL-3.0-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "include/gantry_sandbox.h"

int gs_memory(size_t bytes, int *descriptor) {
    const int memory = memfd_create("gantry-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0) return errno;
    // Sealed: a process that shrank it would fault us when we read.
    if (ftruncate(memory, (off_t)bytes) != 0 ||
        fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        const int code = errno;
        close(memory);
        return code;
    }
    *descriptor = memory;
    return 0;
}

int gs_release(int memory, size_t offset, size_t bytes) {
    return fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes) == 0 ? 0 : errno;
}

static int64_t now_milliseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

int gs_receive(int channel, void *buffer, size_t capacity, int64_t milliseconds, size_t *count) {
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

int gs_send(int channel, const void *bytes, size_t count) {
    while (1) {
        if (send(channel, bytes, count, MSG_NOSIGNAL) >= 0) return 0;
        if (errno == EINTR) continue;
        return errno == ECONNRESET || errno == ECONNREFUSED || errno == ENOTCONN ? EPIPE : errno;
    }
}
