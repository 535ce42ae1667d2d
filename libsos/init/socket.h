/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The library's unix socket: finding it, and packets with descriptors. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "wire/frame.h"

/* The directory is the one that was made for this container. */
bool sos_socket_is_ours(const char *nonce);
/* 0: connected; a positive errno: maybe later; a negative one: never here. */
int sos_socket_dial(int *connected);
/* One frame a packet. 1 sent, 0 would block, -1 the connection is gone. */
int sos_socket_send(int fd, const void *data, size_t length, const int *fds, unsigned count);
/* One packet: its length, 0 the connection is gone, -EAGAIN nothing yet, -EBADMSG cut short or with too many
 * descriptors, which are closed. */
ssize_t sos_socket_receive(int fd, void *data, size_t capacity, int fds[SOS_FRAME_FDS], unsigned *count);
void sos_socket_close_all(const int *fds, unsigned count);
