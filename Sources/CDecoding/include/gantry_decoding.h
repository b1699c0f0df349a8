// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef GANTRY_DECODING_H
#define GANTRY_DECODING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// What a process and its decoder need from Linux and Swift cannot call (variadic functions, file actions).
// Every function returns 0, or the errno of what failed.

/// The descriptors that a decoder finds open.
enum { GD_CHANNEL = 3, GD_MEMORY = 4 };

/// Anonymous shared memory of a size that nobody can change; pages take memory when they are touched.
int gd_memory(size_t bytes, int *descriptor);

/// Gives the pages in a range back to the system; they read as zeros.
int gd_release(int memory, size_t offset, size_t bytes);

/// Both ends of a socket that keeps message boundaries, closed on exec.
int gd_channel(int *ours, int *theirs);

/// Starts `path` with `channel` and `memory` as its GD_CHANNEL and GD_MEMORY, standard error as ours, and nothing else
/// open, in a process group of its own, with every signal as at the start of a program. It is killed when the calling
/// thread ends.
int gd_spawn(const char *path, char *const arguments[], int channel, int memory, pid_t *process);

/// Confines the calling process: it dies with the thread that started it, leaves no core file, gains no privileges,
/// is the first that the kernel ends when memory is short, may have `private_bytes` of memory of its own and
/// `address_bytes` of addresses.
int gd_confine(uint64_t private_bytes, uint64_t address_bytes);

/// Waits for a message until `milliseconds` are over. `ETIMEDOUT` when none came, `EPIPE` when the other end is gone.
int gd_receive(int channel, void *buffer, size_t capacity, int64_t milliseconds, size_t *count);

/// Sends a message; `EPIPE` when the other end is gone, never a signal.
int gd_send(int channel, const void *bytes, size_t count);

#endif
