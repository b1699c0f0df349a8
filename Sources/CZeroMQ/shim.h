// SPDX-License-Identifier: GPL-3.0-or-later
#include <zmq.h>
#include <pthread.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* glibc declares them for _GNU_SOURCE only. */
extern int pthread_setname_np(pthread_t thread, const char *name);
extern int dup3(int descriptor, int place, int flags);

/* Names the calling thread, for ps and debuggers; at most 15 characters. */
static inline void gantry_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

/* The user and the process at the other end of a local connection (unix(7), SO_PEERCRED). 0, or -1 when it is not a
 * local connection. The layout is that of struct ucred, which glibc declares for _GNU_SOURCE only. */
static inline int gantry_peer(int descriptor, unsigned *user, int *process) {
    struct { int process; unsigned user, group; } peer = {0, 0, 0};
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(descriptor, (struct sockaddr *)&address, &size) != 0 || address.ss_family != AF_UNIX) return -1;
    size = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof peer) return -1;
    *user = peer.user;
    *process = peer.process;
    return 0;
}

/* Whether a connection was accepted by a listening socket: it has its port (tcp) or its path (unix). */
static inline int gantry_is_accepted_by(int listener, int descriptor) {
    struct sockaddr_storage here, there;
    socklen_t here_size = sizeof here, there_size = sizeof there;
    memset(&here, 0, sizeof here);
    memset(&there, 0, sizeof there);
    if (getsockname(listener, (struct sockaddr *)&here, &here_size) != 0) return 0;
    if (getsockname(descriptor, (struct sockaddr *)&there, &there_size) != 0) return 0;
    if (here.ss_family != there.ss_family) return 0;
    if (here.ss_family == AF_INET)
        return ((struct sockaddr_in *)&here)->sin_port == ((struct sockaddr_in *)&there)->sin_port;
    if (here.ss_family == AF_INET6)
        return ((struct sockaddr_in6 *)&here)->sin6_port == ((struct sockaddr_in6 *)&there)->sin6_port;
    return here_size == there_size && memcmp(&here, &there, here_size) == 0;
}

/* The number of the socket behind a descriptor, which no other open socket has (socket(7), /proc/PID/fd); 0 when the
 * descriptor is no socket. */
static inline uint64_t gantry_socket_number(int descriptor) {
    struct stat status;
    return fstat(descriptor, &status) == 0 && S_ISSOCK(status.st_mode) ? (uint64_t)status.st_ino : 0;
}

/* Ends a connection in both directions, whoever owns its descriptor; its owner reads the end of the stream and closes
 * it. Nothing happens when the descriptor stands for something else by now: the duplicate cannot change any more. It
 * takes the place of `spare`, so that no descriptor is needed when there is none left; `idle` takes that place again. */
static inline void gantry_hang_up(int descriptor, uint64_t number, int spare, int idle) {
    if (dup3(descriptor, spare, O_CLOEXEC) < 0) return;
    if (gantry_socket_number(spare) == number) shutdown(spare, SHUT_RDWR);
    dup3(idle, spare, O_CLOEXEC);
}

/* Whether this process can open one more file. */
static inline int gantry_has_descriptor(void) {
    const int descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (descriptor >= 0) close(descriptor);
    return descriptor >= 0;
}

/* How many bytes a tcp connection has received since it was made. 0, or -1 when it is not one.
 * The counter stands behind the fields that glibc knows (linux/tcp.h: 8 bytes, 24 words, 3 double words before it). */
static inline int gantry_received_bytes(int descriptor, uint64_t *bytes) {
    unsigned char info[256];
    socklen_t size = sizeof info;
    enum { before = 8 + 24 * 4 + 3 * 8 };
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, info, &size) != 0 || size < before + sizeof *bytes) return -1;
    memcpy(bytes, info + before, sizeof *bytes);
    return 0;
}
