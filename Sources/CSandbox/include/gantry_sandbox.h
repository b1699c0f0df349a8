// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef GANTRY_SANDBOX_H
#define GANTRY_SANDBOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// A process that reads what strangers wrote (images, models), confined so that it can reach nothing but the memory and
// the channel that it was started with. What its parent calls, then what it calls itself.
// Every function returns 0 or the errno of what failed, where nothing else is said. Threads: a `gs_child` belongs to
// one thread at a time; everything else may be called from any thread.

/// The descriptors that a confined process finds open beside 0 and 1 (/dev/null) and 2 (a pipe that its parent reads
/// when it likes; what does not fit is lost): its channel, the page on which it says what happened, and from GS_FIRST on
/// those that its parent handed it.
enum { GS_CHANNEL = 3, GS_REPORT = 4, GS_FIRST = 5, GS_MOST_DESCRIPTORS = 4 };

/// What stands between a confined process and the rest. Kernels and containers differ; `gs_layers` says what is there.
enum {
    /// seccomp: only the system calls that computing needs.
    GS_LAYER_SYSCALLS = 1 << 0,
    /// Landlock: no files but those that stay readable.
    GS_LAYER_LANDLOCK = 1 << 1,
    /// Mount namespace: an empty root directory.
    GS_LAYER_MOUNTS = 1 << 2,
    /// Network namespace without an interface.
    GS_LAYER_NETWORK = 1 << 3,
    /// System V and POSIX message queues of its own.
    GS_LAYER_IPC = 1 << 4,
    /// A user id that nothing else has.
    GS_LAYER_USER = 1 << 5,
    /// Limits on memory, descriptors, files, and threads.
    GS_LAYER_LIMITS = 1 << 6,
};

/// The status with which a process ends itself when it was refused a system call.
enum { GS_REFUSED_STATUS = 86 };

// MARK: The parent

/// A process that was started; filled by `gs_start`, given back by `gs_end`.
struct gs_child {
    pid_t process;
    /// Messages, closed on exec.
    int channel;
    int errors;
    const void *report;
};

/// Anonymous shared memory of a size that nobody can change; pages take memory when they are touched. The descriptor is
/// the caller's.
int gs_memory(size_t bytes, int *descriptor);

/// Gives the pages in a range back to the system; they read as zeros.
int gs_release(int memory, size_t offset, size_t bytes);

/// Starts `path` in a process group of its own with every signal as at the start of a program, with exactly this
/// environment, with `descriptors` (at most GS_MOST_DESCRIPTORS, still the caller's) as GS_FIRST and following, and
/// nothing else of ours. `arguments` and `environment` end with NULL and are borrowed for the call. Once it has called
/// `gs_isolate` it is killed when the calling thread ends.
int gs_start(
    const char *path, char *const arguments[], char *const environment[], const int *descriptors, size_t count,
    struct gs_child *child);

/// The layers that the process found in force (GS_LAYER_…): said by itself before it saw anything of a stranger, so read
/// them when it first says that it is ready.
uint32_t gs_layers(const struct gs_child *child);

/// The system call for which the process ended itself, such as `openat("/etc/passwd")`, as a text that ends with 0. False
/// when there was none. What a hostile process writes here is bounded and may be untrue.
int gs_refusal(const struct gs_child *child, char *text, size_t capacity);

/// Reads what the process has written as errors and nobody has read yet, at most `capacity` bytes; returns how many. Does
/// not wait.
size_t gs_errors(const struct gs_child *child, char *text, size_t capacity);

/// Kills the process if it has not ended and waits for it; returns its status as of waitpid(2). To be called once; then
/// `gs_refusal` and `gs_errors` give its last words.
int gs_stop(const struct gs_child *child);

/// Gives back what `gs_start` made, after `gs_stop`.
void gs_end(struct gs_child *child);

// MARK: Both

/// Waits for a message until `milliseconds` are over (for ever when negative). `ETIMEDOUT` when none came, `EPIPE` when the
/// other end is gone, `EMSGSIZE` when it has more than `capacity` bytes.
int gs_receive(int channel, void *buffer, size_t capacity, int64_t milliseconds, size_t *count);

/// Sends a message; `EPIPE` when the other end is gone, never a signal.
int gs_send(int channel, const void *bytes, size_t count);

// MARK: The confined process

struct gs_confinement {
    /// Memory of its own; 0: not limited.
    uint64_t private_bytes;
    /// Addresses, which libraries, tables and shared memory take too; 0: not limited. Without effect under the address
    /// sanitizer, which takes terabytes of addresses.
    uint64_t address_bytes;
    /// Threads at most, the first one included.
    uint32_t threads;
    /// Whether it may make code in memory and run it (oneDNN does).
    uint32_t executable_memory;
    /// Whether it goes on where the kernel has no seccomp.
    uint32_t reduced;
    /// Absolute paths of files and folders that can be read until `gs_seal`, ended by NULL; NULL: none.
    const char *const *readable;
};

/// The first half, to be called while the process has one thread: it leaves the user, the network, the message queues and
/// the files of its parent, as far as the kernel lets it, dies with its parent, leaves no core file, gains no privileges,
/// cannot be traced, is the first that the kernel ends when memory is short, and has `private_bytes` of memory. Threads
/// and libraries that only make a few at once may now start. `EBADF` in a process that `gs_start` did not start.
int gs_isolate(const struct gs_confinement *confinement);

/// The second half, to be called before the first byte of a stranger is read: from now on all threads have the system
/// calls that computing needs, and no more. A look at /proc, /sys or a folder of libraries finds nothing there (libraries
/// look when they please and go on without); any other refused call is noted for the parent and ends the process.
int gs_seal(const struct gs_confinement *confinement);

#endif
