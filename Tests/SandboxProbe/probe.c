// SPDX-License-Identifier: GPL-3.0-or-later
// Confines itself as its first argument says, then tries what the second one names, and says over its channel what came of
// it. For SandboxTests.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "gantry_sandbox.h"

extern char **environ;

static void say(const char *text) {
    if (gs_send(GS_CHANNEL, text, strlen(text)) != 0) _exit(3);
}

/// "ok", or the error of a call that returned -1.
static void say_result(long result) { say(result == -1 ? strerror(errno) : "ok"); }

static void *end_thread(void *opaque) { return opaque; }

static void open_thread(void) { open("/etc/hostname", O_RDONLY); }

static void *open_in_thread(void *opaque) {
    open_thread();
    return opaque;
}

static void start_thread(void *(*body)(void *)) {
    pthread_t thread;
    const int code = pthread_create(&thread, NULL, body, NULL);
    if (code == 0) pthread_join(thread, NULL);
    say(code == 0 ? "ok" : strerror(code));
}

static void say_environment(void) {
    char text[2048] = "";
    for (char **variable = environ; *variable != NULL; ++variable)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n", *variable);
    say(text);
}

static void say_much(void) {
    char line[1024];
    memset(line, 'x', sizeof line);
    for (int i = 0; i < 16384; ++i)
        if (write(2, line, sizeof line) < 0 && errno != EAGAIN) break;
    say("ok");
}

static void take_memory(void) {
    size_t taken = 0;
    while (taken < (size_t)8 << 30) {
        // Not malloc(3), which a compiler leaves out when nobody reads.
        void *block = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED) break;
        taken += 1 << 20;
    }
    char text[32];
    snprintf(text, sizeof text, "%zu", taken >> 20);
    say(text);
}

static void compute(void) {
    char text[64];
    struct timespec now;
    struct tm parts;
    const time_t seconds = time(NULL);
    clock_gettime(CLOCK_REALTIME, &now);
    nanosleep(&(struct timespec){0, 1000}, NULL);
    localtime_r(&seconds, &parts);
    char *big = malloc(64 << 20);
    memset(big, 1, 64 << 20);
    free(big);
    struct rlimit limits;
    getrlimit(RLIMIT_STACK, &limits);
    snprintf(text, sizeof text, "%s", parts.tm_year > 100 ? "ok" : "no year");
    say(text);
}

static void attempt(const char *act) {
    if (strcmp(act, "compute") == 0) compute();
    else if (strcmp(act, "environment") == 0) say_environment();
    else if (strcmp(act, "errors") == 0) say_much();
    else if (strcmp(act, "memory") == 0) take_memory();
    else if (strcmp(act, "read") == 0) say_result(open("/etc/passwd", O_RDONLY));
    else if (strcmp(act, "old-read") == 0) say_result(syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY));
    else if (strcmp(act, "write") == 0) say_result(open("/tmp/gantry-probe", O_WRONLY | O_CREAT, 0600));
    else if (strcmp(act, "stat") == 0) { struct stat s; say_result(stat("/var/lib", &s)); }
    else if (strcmp(act, "unlink") == 0) say_result(unlink("/tmp/gantry-probe"));
    else if (strcmp(act, "look") == 0) say_result(open("/proc/self/environ", O_RDONLY));
    else if (strcmp(act, "library") == 0) say_result(open("/usr/lib/x86_64-linux-gnu/libc.so.6", O_RDONLY));
    else if (strcmp(act, "socket") == 0) say_result(socket(AF_INET, SOCK_STREAM, 0));
    else if (strcmp(act, "unix-socket") == 0) say_result(socket(AF_UNIX, SOCK_STREAM, 0));
    else if (strcmp(act, "fork") == 0) say_result(fork());
    else if (strcmp(act, "vfork") == 0) say_result(syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0));
    else if (strcmp(act, "exec") == 0) say_result(execl("/bin/true", "true", (char *)NULL));
    else if (strcmp(act, "exec-proc") == 0) say_result(execl("/proc/self/exe", "true", (char *)NULL));
    else if (strcmp(act, "kill-parent") == 0) say_result(kill(getppid(), 0));
    else if (strcmp(act, "kill-all") == 0) say_result(kill(-1, 0));
    else if (strcmp(act, "tgkill-parent") == 0) say_result(syscall(SYS_tgkill, getppid(), getppid(), 0));
    else if (strcmp(act, "tgkill-self") == 0) say_result(syscall(SYS_tgkill, getpid(), gettid(), 0));
    else if (strcmp(act, "ptrace") == 0) say_result(ptrace(PTRACE_ATTACH, getppid(), 0, 0));
    else if (strcmp(act, "peek") == 0) say_result(syscall(SYS_process_vm_readv, getppid(), 0, 0, 0, 0, 0));
    else if (strcmp(act, "code") == 0) {
        void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        say_result(page == MAP_FAILED ? -1 : 0);
    } else if (strcmp(act, "code-later") == 0) {
        void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        say_result(mprotect(page, 4096, PROT_READ | PROT_EXEC));
    } else if (strcmp(act, "thread") == 0) start_thread(end_thread);
    else if (strcmp(act, "thread-read") == 0) start_thread(open_in_thread);
    else if (strcmp(act, "terminal") == 0) say_result(isatty(0) ? 0 : -1);
    else if (strcmp(act, "memfd") == 0) say_result(memfd_create("x", 0));
    else if (strcmp(act, "dup") == 0) say_result(dup(0));
    else if (strcmp(act, "io-uring") == 0) say_result(syscall(SYS_io_uring_setup, 1, NULL));
    else if (strcmp(act, "bpf") == 0) say_result(syscall(SYS_bpf, 0, NULL, 0));
    else if (strcmp(act, "unshare") == 0) say_result(unshare(0x10000000));
    else if (strcmp(act, "mount") == 0) say_result(syscall(SYS_mount, "none", "/mnt", "tmpfs", 0, NULL));
    else if (strcmp(act, "limits") == 0) {
        const struct rlimit more = {RLIM_INFINITY, RLIM_INFINITY};
        say_result(setrlimit(RLIMIT_FSIZE, &more));
    } else if (strcmp(act, "setuid") == 0) say_result(setuid(0));
    else if (strcmp(act, "dumpable") == 0) say_result(prctl(PR_SET_DUMPABLE, 1));
    else if (strcmp(act, "truncate") == 0) say_result(ftruncate(GS_FIRST, 0));
    else if (strcmp(act, "keyctl") == 0) say_result(syscall(SYS_keyctl, 0, -3, 0));
    else if (strcmp(act, "bad-pointer") == 0) say_result(syscall(SYS_openat, AT_FDCWD, 8, O_RDONLY));
    else if (strcmp(act, "abort") == 0) abort();
    else if (strcmp(act, "wait") == 0) {
        char byte;
        size_t count;
        say("waiting");
        gs_receive(GS_CHANNEL, &byte, 1, -1, &count);
    } else say("no such act");
}

int main(int count, char **arguments) {
    if (count != 3) return 2;
    const char *const kind = arguments[1];
    const char *const readable[] = {"/proc/cpuinfo", "/sys/devices/system/cpu", NULL};
    const int is_model = strcmp(kind, "model") == 0;
    const struct gs_confinement confinement = {
        .private_bytes = 256 << 20,
        .address_bytes = (uint64_t)2 << 30,
        .threads = is_model ? 3 : 1,
        .executable_memory = (uint32_t)is_model,
        .readable = is_model ? readable : NULL,
    };
    int code = gs_isolate(&confinement);
    if (code == 0 && strcmp(kind, "isolated") != 0) {
        if (is_model) {
            // Threads and files of the machine before the seal, as OpenMP has them.
            const int file = open("/proc/cpuinfo", O_RDONLY);
            if (file < 0) return 4;
            close(file);
        }
        code = gs_seal(&confinement);
    }
    if (code != 0) {
        fprintf(stderr, "%s\n", strerror(code));
        return 5;
    }
    attempt(arguments[2]);
    return 0;
}
