/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Our own sockets, found by their local port among all descriptors: civetweb does not tell its own. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sos_socket_visit {
	uint16_t local_port;
	/* `fd` is a duplicate that is closed afterwards unless true is returned, which also ends the visits. */
	bool (*visit)(struct sos_socket_visit *visit, int fd);
	void *data;
	int number; /* what `fd` is a duplicate of */
};

void sos_sockets_visit(struct sos_socket_visit *visit);
/* False: it has none. */
bool sos_socket_peer(int fd, struct sockaddr_in *peer);
/* All of it, on a socket that does not block. False: its client is gone, or takes nothing for so long. */
bool sos_socket_send(int fd, const void *data, size_t length, int timeout_ms);
