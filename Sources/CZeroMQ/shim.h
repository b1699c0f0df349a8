// SPDX-License-Identifier: GPL-3.0-or-later
#include <zmq.h>
#include <sys/eventfd.h>
