/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A channel without TLS is a descriptor and takes no lock. `lock` guards the
 * state of one with TLS, which reader and writer share; it is held over
 * non-blocking calls only.
 */
#include "engine/channel.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "engine/call.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

struct sos_channel {
	const struct sos_address *address;
	struct sos_transport_connection connection;
	pthread_mutex_t lock;
};

int sos_channel_open(struct sos_transport_client *client, const struct sos_engine_call *call,
		     struct sos_channel **channel, struct sos_error *error)
{
	struct sos_channel *c = calloc(1, sizeof(*c));
	if (!c)
		return sos_error_nomem(error);
	int r = sos_transport_connect(client, call, &c->connection, error);
	if (r < 0) {
		free(c);
		return r;
	}
	c->address = sos_transport_address(client);
	pthread_mutex_init(&c->lock, NULL);
	*channel = c;
	return 0;
}

void sos_channel_free(struct sos_channel *channel)
{
	if (!channel)
		return;
	sos_transport_disconnect(&channel->connection);
	pthread_mutex_destroy(&channel->lock);
	free(channel);
}

int sos_channel_fd(const struct sos_channel *channel)
{
	return channel->connection.fd;
}

ssize_t sos_channel_receive(struct sos_channel *channel, void *data, size_t length)
{
	if (channel->connection.tls) {
		SOS_LOCKED(&channel->lock);
		return sos_transport_tls_receive(&channel->connection, data, length);
	}
	ssize_t n;
	do
		n = recv(channel->connection.fd, data, length, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t sos_channel_send(struct sos_channel *channel, const void *data, size_t length)
{
	if (channel->connection.tls) {
		SOS_LOCKED(&channel->lock);
		return sos_transport_tls_send(&channel->connection, data, length);
	}
	ssize_t n;
	do
		n = send(channel->connection.fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* For poll's `events` on the descriptor. */
static int wait_for(struct sos_channel *channel, short events, const struct sos_engine_call *call,
		    struct sos_error *error)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = channel->connection.fd, .events = events },
				       { .fd = call->cancel_fd, .events = POLLIN } };
		int n = poll(p, 2, sos_clock_poll_ms(call->deadline));
		if (n < 0 && errno != EINTR)
			return sos_error_errno(error, SOS_ERROR_SYSTEM, errno, "poll");
		int r = sos_call_check(call, channel->address, error);
		if (r < 0)
			return r;
		if (n > 0 && p[0].revents)
			return 0;
	}
}

static int broken(struct sos_channel *channel, ssize_t r, struct sos_error *error)
{
	return sos_error_errno(error, SOS_ERROR_UNREACHABLE, (int)-r, "Docker Engine at %s: the connection broke",
			       channel->address->text);
}

int sos_channel_send_all(struct sos_channel *channel, const void *data, size_t length,
			 const struct sos_engine_call *call, struct sos_error *error)
{
	for (size_t sent = 0; sent < length;) {
		ssize_t n = sos_channel_send(channel, (const char *)data + sent, length - sent);
		if (n < 0 && n != -EAGAIN)
			return broken(channel, n, error);
		int r = n < 0 ? wait_for(channel, POLLOUT, call, error) : 0;
		if (r < 0)
			return r;
		sent += n < 0 ? 0 : (size_t)n;
	}
	return 0;
}

int sos_channel_receive_some(struct sos_channel *channel, void *data, size_t *length,
			     const struct sos_engine_call *call, struct sos_error *error)
{
	for (;;) {
		ssize_t n = sos_channel_receive(channel, data, *length);
		if (n >= 0) {
			*length = (size_t)n;
			return 0;
		}
		if (n != -EAGAIN)
			return broken(channel, n, error);
		int r = wait_for(channel, POLLIN, call, error);
		if (r < 0)
			return r;
	}
}
