/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Bytes to and from the Engine outside of HTTP's answers: what the attach
 * stream runs on. With or without TLS. */

#include <sys/types.h>

#include "engine/transport.h"

struct sos_channel;

int sos_channel_open(struct sos_transport_client *client, const struct sos_engine_call *call,
		     struct sos_channel **channel, struct sos_error *error);
void sos_channel_free(struct sos_channel *channel);
int sos_channel_fd(const struct sos_channel *channel);

/* Non-blocking; bytes, 0 at the end, -EAGAIN or another negative errno. One may receive while another sends. */
ssize_t sos_channel_receive(struct sos_channel *channel, void *data, size_t length);
ssize_t sos_channel_send(struct sos_channel *channel, const void *data, size_t length);

/* The same, waiting within the call's limits. All of it is sent; `*length` bytes came, 0: the end. */
int sos_channel_send_all(struct sos_channel *channel, const void *data, size_t length,
			 const struct sos_engine_call *call, struct sos_error *error);
int sos_channel_receive_some(struct sos_channel *channel, void *data, size_t *length,
			     const struct sos_engine_call *call, struct sos_error *error);
