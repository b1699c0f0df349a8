// SPDX-License-Identifier: GPL-3.0-or-later
// Preloaded into the unit tests: ends the process where a descriptor is closed that is not open. Closing one twice closes
// somebody else's the second time, as soon as another thread opens something between the two.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int close(int descriptor) {
    static int (*next)(int) = NULL;
    if (next == NULL) next = (int (*)(int))dlsym(RTLD_NEXT, "close");
    const int result = next(descriptor);
    // Not in swift-test and the tools that it starts, which are not ours.
    if (result != 0 && errno == EBADF && strncmp(program_invocation_short_name, "gantry", 6) == 0) {
        fprintf(stderr, "close(%d): the descriptor is not open (Integration/Descriptors/close.c)\n", descriptor);
        abort();
    }
    return result;
}
