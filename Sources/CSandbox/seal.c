// SPDX-License-Identifier: GPL-3.0-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "confined.h"
#include "include/gantry_sandbox.h"

// MARK: What happens to a refused call

#if defined(__x86_64__)
static void set_result(ucontext_t *context, int64_t value) { context->uc_mcontext.gregs[REG_RAX] = value; }
static uint64_t argument(const ucontext_t *context, int index) {
    static const int registers[6] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
    return (uint64_t)context->uc_mcontext.gregs[registers[index]];
}
#elif defined(__aarch64__)
static void set_result(ucontext_t *context, int64_t value) { context->uc_mcontext.regs[0] = (uint64_t)value; }
static uint64_t argument(const ucontext_t *context, int index) { return context->uc_mcontext.regs[index]; }
#else
#error "the registers of a system call are known for x86_64 and aarch64"
#endif

/// Files that the C library, OpenMP, OpenBLAS and oneDNN look for when they please, and do without: what the machine is
/// like, and libraries of profilers.
static int is_looked_for(const char *path) {
    static const char *const places[] = {"/proc/", "/sys/", "/lib/", "/lib64/", "/usr/lib/", "/etc/ld.so.cache"};
    for (size_t i = 0; i < sizeof places / sizeof *places; ++i)
        if (strncmp(path, places[i], strlen(places[i])) == 0) return 1;
    return 0;
}

/// Runs in the thread that made the call, anywhere in its code: only what is safe in a signal handler.
static void refuse(int signal, siginfo_t *info, void *opaque) {
    (void)signal;
    ucontext_t *context = opaque;
    const int64_t call = info->si_syscall;
    const int index = path_argument(call);
    const char *path = index < 0 ? NULL : (const char *)argument(context, index);
    if (path != NULL && is_looked_for(path) && call != SYS_execve && call != SYS_execveat) {
        set_result(context, -ENOENT);
        return;
    }
    uint32_t none = 0;
    if (atomic_compare_exchange_strong(&confined_report->refusals, &none, 1)) {
        confined_report->call = call;
        for (int i = 0; i < 6; ++i) confined_report->arguments[i] = argument(context, i);
        // A wrong pointer ends the process here by another signal: no worse.
        for (size_t i = 0; path != NULL && i + 1 < sizeof confined_report->path; ++i)
            if ((confined_report->path[i] = path[i]) == '\0') break;
        atomic_store(&confined_report->refusals, 2);
    }
    syscall(SYS_exit_group, GS_REFUSED_STATUS);
}

static int catch_refusals(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = refuse;
    action.sa_flags = SA_SIGINFO;
    return sigaction(SIGSYS, &action, NULL) == 0 ? 0 : errno;
}

// MARK: What is not refused

/// Computing, memory, time, waiting, signals of its own, ending, and its channel.
static const int allowed[] = {
    SCMP_SYS(brk), SCMP_SYS(clock_getres), SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(close),
    SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(fstat), SCMP_SYS(futex), SCMP_SYS(getcpu), SCMP_SYS(getegid),
    SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(getrandom), SCMP_SYS(getrusage),
    SCMP_SYS(gettid), SCMP_SYS(gettimeofday), SCMP_SYS(getuid), SCMP_SYS(lseek), SCMP_SYS(madvise), SCMP_SYS(membarrier),
    SCMP_SYS(mremap), SCMP_SYS(munmap), SCMP_SYS(nanosleep), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(pread64),
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(recvfrom), SCMP_SYS(restart_syscall), SCMP_SYS(rseq),
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_yield), SCMP_SYS(sendto), SCMP_SYS(set_robust_list), SCMP_SYS(sigaltstack), SCMP_SYS(sysinfo),
    SCMP_SYS(time), SCMP_SYS(times), SCMP_SYS(uname), SCMP_SYS(write), SCMP_SYS(writev),
};

/// Refused with an error that programs expect, without a word.
static const struct {
    int call, error;
} denied[] = {
    // isatty(3)
    {SCMP_SYS(ioctl), ENOTTY},
    // oneDNN asks whether the processor has tiles.
    {SCMP_SYS(arch_prctl), EINVAL},
    // glibc then uses clone, whose flags can be looked at.
    {SCMP_SYS(clone3), ENOSYS},
    {SCMP_SYS(sched_setaffinity), EPERM},
    {SCMP_SYS(sched_setscheduler), EPERM},
    {SCMP_SYS(setpriority), EPERM},
    {SCMP_SYS(get_mempolicy), ENOSYS},
    {SCMP_SYS(mbind), ENOSYS},
};

/// Allows a call whose argument has `value` in the bits of `mask`.
static int allow_if(scmp_filter_ctx filter, int call, unsigned index, uint64_t mask, uint64_t value) {
    const struct scmp_arg_cmp condition = {index, SCMP_CMP_MASKED_EQ, mask, value};
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &condition);
}

static int allow_with_conditions(scmp_filter_ctx filter, const struct gs_confinement *confinement) {
    const uint64_t code_bit = confinement->executable_memory ? 0 : PROT_EXEC, all = UINT64_MAX;
    // Questions about its own limits.
    const struct scmp_arg_cmp ask[] = {{0, SCMP_CMP_EQ, 0, 0}, {2, SCMP_CMP_EQ, 0, 0}};
    int code = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, ask);
    if (code == 0) code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(getrlimit), 0);
    if (code == 0) code = allow_if(filter, SCMP_SYS(mmap), 2, code_bit, 0);
    if (code == 0) code = allow_if(filter, SCMP_SYS(mprotect), 2, code_bit, 0);
    // fstat(2) as glibc does it: the path is empty.
    if (code == 0) code = allow_if(filter, SCMP_SYS(newfstatat), 3, AT_EMPTY_PATH, AT_EMPTY_PATH);
    if (code == 0) code = allow_if(filter, SCMP_SYS(tgkill), 0, all, (uint64_t)getpid());
    if (code == 0) code = allow_if(filter, SCMP_SYS(fcntl), 1, all, F_GETFD);
    if (code == 0) code = allow_if(filter, SCMP_SYS(fcntl), 1, all, F_GETFL);
    if (code == 0) code = allow_if(filter, SCMP_SYS(prctl), 0, all, PR_SET_NAME);
    if (code == 0) code = allow_if(filter, SCMP_SYS(prctl), 0, all, PR_GET_NAME);
    // A refused thread is an error that programs expect; pthread_create(3) blocks the signal that would name it.
    const struct scmp_arg_cmp is_thread = {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD};
    const uint32_t threads = confinement->threads > 1 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EAGAIN);
    if (code == 0) code = seccomp_rule_add_array(filter, threads, SCMP_SYS(clone), 1, &is_thread);
    return code;
}

/// An errno.
static int filter_calls(const struct gs_confinement *confinement) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
    if (filter == NULL) return ENOMEM;
    int code = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (code == 0) code = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    for (size_t i = 0; code == 0 && i < sizeof allowed / sizeof *allowed; ++i)
        code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    for (size_t i = 0; code == 0 && i < sizeof denied / sizeof *denied; ++i)
        code = seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)denied[i].error), denied[i].call, 0);
    if (code == 0) code = allow_with_conditions(filter, confinement);
    if (code == 0) code = seccomp_load(filter);
    seccomp_release(filter);
    return -code;
}

int gs_seal(const struct gs_confinement *confinement) {
    if (confined_report == NULL) return EBADF;
    // Threads of its own count only where nobody else has its user, or in a user namespace.
    const uint32_t counted = GS_LAYER_USER | GS_LAYER_NETWORK;
    int code = limit(RLIMIT_NOFILE, GS_FIRST + GS_MOST_DESCRIPTORS);
    if (code == 0 && (atomic_load(&confined_report->layers) & counted) != 0)
        code = limit(RLIMIT_NPROC, confinement->threads);
    if (code == 0) code = catch_refusals();
    if (code != 0) return code;
    add_layer(GS_LAYER_LIMITS);
    code = filter_calls(confinement);
    if (code == 0) add_layer(GS_LAYER_SYSCALLS);
    return confinement->reduced ? 0 : code;
}
