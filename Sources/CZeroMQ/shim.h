// SPDX-License-Identifier: GPL-3.0-or-later
#include <zmq.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/* glibc declares it for _GNU_SOURCE only. */
extern int pthread_setname_np(pthread_t thread, const char *name);

/* Names the calling thread, for ps and debuggers; at most 15 characters. */
static inline void gantry_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

/* The user at the other end of a local connection (unix(7), SO_PEERCRED). 0, or -1 when it is not a local connection.
 * The layout is that of struct ucred, which glibc declares for _GNU_SOURCE only. */
static inline int gantry_peer_user(int descriptor, unsigned *user) {
    struct { int process; unsigned user, group; } peer = {0, 0, 0};
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(descriptor, (struct sockaddr *)&address, &size) != 0 || address.ss_family != AF_UNIX) return -1;
    size = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof peer) return -1;
    *user = peer.user;
    return 0;
}
