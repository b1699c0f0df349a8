// SPDX-License-Identifier: GPL-3.0-or-later
#define _GNU_SOURCE
#include "report.h"

#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "include/gantry_sandbox.h"

int path_argument(int64_t call) {
    switch (call) {
#ifdef SYS_open
    case SYS_open:
    case SYS_creat:
    case SYS_stat:
    case SYS_lstat:
    case SYS_access:
    case SYS_readlink:
    case SYS_unlink:
    case SYS_rename:
    case SYS_link:
    case SYS_symlink:
    case SYS_mkdir:
    case SYS_rmdir:
    case SYS_mknod:
    case SYS_chmod:
    case SYS_chown:
    case SYS_lchown:
#endif
    case SYS_execve:
    case SYS_chdir:
    case SYS_chroot:
    case SYS_truncate:
    case SYS_statfs:
    case SYS_mount:
    case SYS_umount2: return 0;
    case SYS_openat:
    case SYS_openat2:
    case SYS_newfstatat:
    case SYS_statx:
    case SYS_faccessat:
    case SYS_faccessat2:
    case SYS_readlinkat:
    case SYS_unlinkat:
    case SYS_renameat:
    case SYS_renameat2:
    case SYS_linkat:
    case SYS_mkdirat:
    case SYS_mknodat:
    case SYS_fchmodat:
    case SYS_fchownat:
    case SYS_utimensat:
    case SYS_execveat: return 1;
    default: return -1;
    }
}

uint32_t gs_layers(const struct gs_child *child) {
    const struct report *report = child->report;
    return atomic_load(&report->layers);
}

int gs_refusal(const struct gs_child *child, char *text, size_t capacity) {
    const struct report *report = child->report;
    if (atomic_load(&report->refusals) == 0) return 0;
    const int64_t call = report->call;
    char number[24];
    snprintf(number, sizeof number, "system call %lld", (long long)call);
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)call);
    const char *shown = name == NULL ? number : name;
    if (path_argument(call) >= 0) {
        const int length = (int)strnlen(report->path, sizeof report->path);
        snprintf(text, capacity, "%s(\"%.*s\")", shown, length, report->path);
    } else {
        snprintf(
            text, capacity, "%s(0x%llx, 0x%llx, 0x%llx)", shown, (unsigned long long)report->arguments[0],
            (unsigned long long)report->arguments[1], (unsigned long long)report->arguments[2]);
    }
    free(name);
    return 1;
}
