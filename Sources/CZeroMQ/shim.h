// SPDX-License-Identifier: GPL-3.0-or-later
#include <zmq.h>
#include <pthread.h>
#include <sys/eventfd.h>

/* glibc declares it for _GNU_SOURCE only. */
extern int pthread_setname_np(pthread_t thread, const char *name);

/* Names the calling thread, for ps and debuggers; at most 15 characters. */
static inline void gantry_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
