// SPDX-License-Identifier: GPL-3.0-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "confined.h"
#include "include/gantry_sandbox.h"

// Every layer is tried and none is needed: the kernel may lack it, and containers often forbid it. The caller is told
// which are there. No process namespace: it takes a second process between parent and child, and a first process of a
// namespace does not die of its own faults; signals are what the system call filter forbids.

struct report *confined_report = NULL;

void add_layer(uint32_t layer) { atomic_fetch_or(&confined_report->layers, layer); }

static int write_file(const char *path, const char *text) {
    const int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return errno;
    const size_t count = strlen(text);
    const int code = write(file, text, count) == (ssize_t)count ? 0 : errno;
    close(file);
    return code;
}

/// Beyond what Linux distributions and systemd give to people, services and containers (systemd.io/UIDS-GIDS), and another
/// one for each process of the machine, so that none can signal or trace the other.
static int become_nobody(void) {
    const uid_t own = 0x70000000u + (uid_t)getpid();
    if (setgroups(0, NULL) != 0) return errno;
    if (setresgid(own, own, own) != 0 || setresuid(own, own, own) != 0) return errno;
    add_layer(GS_LAYER_USER);
    return 0;
}

/// The file or folder `path` of the old root, at the same place of the new one, which is the current directory.
static void keep(const char *path) {
    char place[512], source[520];
    if (path[0] != '/' || (size_t)snprintf(place, sizeof place, "%s", path + 1) >= sizeof place) return;
    snprintf(source, sizeof source, "old/%s", place);
    struct stat kind;
    if (stat(source, &kind) != 0) return;
    for (char *slash = strchr(place, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(place, 0755);
        *slash = '/';
    }
    if (S_ISDIR(kind.st_mode)) {
        mkdir(place, 0755);
    } else {
        const int file = open(place, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
        if (file >= 0) close(file);
    }
    // What lies below has to come along: a namespace of less rights may not uncover it.
    mount(source, place, NULL, MS_BIND | MS_REC, NULL);
}

/// An empty root directory with what stays readable.
static int leave_files(const char *const *readable) {
    if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) != 0) return errno;
    if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=1m") != 0) return errno;
    if (chdir("/tmp") != 0 || mkdir("old", 0755) != 0 || syscall(SYS_pivot_root, ".", "old") != 0) {
        const int code = errno;
        // Nothing has changed but that /tmp is empty.
        if (chdir("/") == 0) umount2("/tmp", MNT_DETACH);
        return code;
    }
    if (chdir("/") != 0) return errno;
    for (size_t i = 0; readable != NULL && readable[i] != NULL; ++i) keep(readable[i]);
    if (umount2("old", MNT_DETACH) != 0) return errno;
    rmdir("old");
    mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    add_layer(GS_LAYER_MOUNTS);
    return 0;
}

/// One after the other: a kernel may have been built without some.
static int leave_namespaces(const char *const *readable) {
    if (unshare(CLONE_NEWNET) != 0) return errno;
    add_layer(GS_LAYER_NETWORK);
    if (unshare(CLONE_NEWIPC) == 0) add_layer(GS_LAYER_IPC);
    if (unshare(CLONE_NEWUTS) != 0) return errno;
    return unshare(CLONE_NEWNS) == 0 ? leave_files(readable) : errno;
}

/// The rights that namespaces need, for a process that has none: those of a user namespace of its own.
static int enter_user_namespace(void) {
    const uid_t user = geteuid();
    const gid_t group = getegid();
    // The files of a process that changed its user are root's until it may be dumped.
    if (prctl(PR_SET_DUMPABLE, 1) != 0 || unshare(CLONE_NEWUSER) != 0) return errno;
    char text[64];
    write_file("/proc/self/setgroups", "deny");
    snprintf(text, sizeof text, "%u %u 1", (unsigned)user, (unsigned)user);
    int code = write_file("/proc/self/uid_map", text);
    snprintf(text, sizeof text, "%u %u 1", (unsigned)group, (unsigned)group);
    if (code == 0) code = write_file("/proc/self/gid_map", text);
    return code;
}

static void drop_capabilities(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2];
    memset(none, 0, sizeof none);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    syscall(SYS_capset, &header, none);
}

// Of Linux 6.7 and later; Debian 12's headers are older. landlock(7).
struct ruleset {
    uint64_t files, network, scoped;
};
struct path_beneath {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));
enum {
    landlock_version = 1 << 0,
    rule_path_beneath = 1,
    files_first = (1 << 13) - 1,
    files_refer = 1 << 13,
    files_truncate = 1 << 14,
    files_ioctl = 1 << 15,
    read_file = 1 << 2,
    read_folder = 1 << 3,
    all_network = 3,
    all_scoped = 3,
};

static int forbid_files(const char *const *readable) {
    const long version = syscall(SYS_landlock_create_ruleset, NULL, 0, landlock_version);
    if (version < 1) return errno;
    struct ruleset rules = {files_first, 0, 0};
    if (version >= 2) rules.files |= files_refer;
    if (version >= 3) rules.files |= files_truncate;
    if (version >= 5) rules.files |= files_ioctl;
    if (version >= 4) rules.network = all_network;
    if (version >= 6) rules.scoped = all_scoped;
    const size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
    const int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    if (ruleset < 0) return errno;
    for (size_t i = 0; readable != NULL && readable[i] != NULL; ++i) {
        const int file = open(readable[i], O_PATH | O_CLOEXEC);
        if (file < 0) continue;
        struct stat kind;
        struct path_beneath rule = {read_file, file};
        if (fstat(file, &kind) == 0 && S_ISDIR(kind.st_mode)) rule.allowed |= read_folder;
        syscall(SYS_landlock_add_rule, ruleset, rule_path_beneath, &rule, 0);
        close(file);
    }
    const int code = syscall(SYS_landlock_restrict_self, ruleset, 0) == 0 ? 0 : errno;
    close(ruleset);
    if (code == 0) add_layer(GS_LAYER_LANDLOCK);
    return code;
}

int limit(int resource, uint64_t value) {
    struct rlimit bounds;
    if (getrlimit((__rlimit_resource_t)resource, &bounds) != 0) return errno;
    // A lower limit that an administrator has set stays.
    if (bounds.rlim_max == RLIM_INFINITY || bounds.rlim_max > value) bounds.rlim_max = value;
    bounds.rlim_cur = bounds.rlim_max;
    return setrlimit((__rlimit_resource_t)resource, &bounds) == 0 ? 0 : errno;
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ADDRESS_SANITIZER 1
#endif
#endif

static int limit_memory(const struct gs_confinement *confinement) {
#ifdef WITH_ADDRESS_SANITIZER
    (void)confinement;
    return 0;
#else
    int code = 0;
    if (confinement->private_bytes > 0) code = limit(RLIMIT_DATA, confinement->private_bytes);
    if (code == 0 && confinement->address_bytes > 0) code = limit(RLIMIT_AS, confinement->address_bytes);
    return code;
#endif
}

int gs_isolate(const struct gs_confinement *confinement) {
    void *page = mmap(NULL, sizeof(struct report), PROT_READ | PROT_WRITE, MAP_SHARED, GS_REPORT, 0);
    // Another program's descriptor or none.
    if (page == MAP_FAILED) return EBADF;
    confined_report = page;
    close(GS_REPORT);
    // Reads the time zone's file, which the first date would read.
    tzset();
    // A parent whose files are its own alone would leave folders that the user below cannot enter.
    umask(0022);
    // Before /proc is gone. Where it is not there the kernel chooses by size.
    write_file("/proc/self/oom_score_adj", "1000");

    const int is_root = geteuid() == 0;
    if (is_root && leave_namespaces(confinement->readable) == 0) {
        become_nobody();
    } else {
        if (is_root) become_nobody();
        if ((atomic_load(&confined_report->layers) & GS_LAYER_MOUNTS) == 0 && enter_user_namespace() == 0)
            leave_namespaces(confinement->readable);
    }
    drop_capabilities();
    // After the user has changed, which takes back the first two.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0) return errno;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
    forbid_files(confinement->readable);

    int code = limit(RLIMIT_CORE, 0);
    if (code == 0) code = limit(RLIMIT_FSIZE, 0);
    if (code == 0) code = limit(RLIMIT_MSGQUEUE, 0);
    if (code == 0) code = limit(RLIMIT_MEMLOCK, 0);
    if (code == 0) code = limit_memory(confinement);
    return code;
}
