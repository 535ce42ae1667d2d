/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The connections that are in the middle of a request, and their descriptors.
 * civetweb does not tell which descriptor a connection has, so it is looked for
 * among all of ours by its two addresses. What is found is given as a duplicate,
 * which cannot turn into somebody else's while it is used. One table a process.
 * Lock: `table` in connections.c, over the list; nothing is called under it. */

#include <stdbool.h>
#include <stdint.h>

struct sos_connection {
	struct sos_connection *previous, *next;
	const char *address; /* of the client, as text; lives as long as the request */
	uint16_t port;       /* of the client */
	uint16_t local_port;
	int64_t body_since;  /* the last piece of its body came then; 0: none is being read */
	bool too_slow;       /* its reading end was closed: others needed the thread */
};

void sos_connection_add(struct sos_connection *connection);
void sos_connection_remove(struct sos_connection *connection);
/* `other`, a copy of it, takes its place in the table. */
void sos_connection_replace(struct sos_connection *connection, struct sos_connection *other);

/* Around the reading of a body. At most `limit` are read at a time: one more ends those that waited longest for their
 * next piece, or waits for a moment until it is known which do; false: all of them go forward, so this one is to be
 * refused. One that is not `wanted` ends no others, does not wait and has half of the room. */
bool sos_connection_begin_body(struct sos_connection *connection, unsigned limit, bool wanted);
/* A piece came. */
void sos_connection_advance_body(struct sos_connection *connection);
/* False: its reading end was closed meanwhile, since it was too slow. */
bool sos_connection_end_body(struct sos_connection *connection);
/* End bodies until at most `limit` are read, as far as they wait. */
void sos_connections_limit_bodies(uint16_t local_port, unsigned limit);

/* A duplicate of its descriptor, the caller's; -1: not found. `number` (may be NULL) is the descriptor itself. */
int sos_connection_descriptor(const struct sos_connection *connection, int *number);

/* Bytes that its client sent and nobody read yet; -1: not known. */
int sos_connection_unread(const struct sos_connection *connection);
/* After a reply to a request that was not read to its end: take what still comes, a moment long, so that the client
 * sees the reply and not a reset. */
void sos_connection_linger(const struct sos_connection *connection);

/* End bodies on `local_port` that got no piece for five seconds. With `starving`, when all threads have a connection:
 * those without one for a second, and connections that show no whole head within 0.4 s. By one thread only. */
void sos_connections_sweep(uint16_t local_port, bool starving);
/* Make every thread that waits for a next request on `local_port` go on: their clients get an end of file. */
void sos_connections_hang_up(uint16_t local_port);
/* End all of them, whatever they are at. */
void sos_connections_abort(uint16_t local_port);
/* Stop listening on it without closing. */
void sos_connections_stop_listening(uint16_t local_port);
