/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A request that waits for a command, a start or a stop holds its thread, and
 * civetweb's threads are made at its start and cost 15 KiB each, used or not. So
 * there are few of them, and when most of them wait the next such request is
 * taken away from civetweb, with its connection, and gets a thread that ends
 * with it. civetweb cannot give a connection away: another socket is put under
 * its number, for civetweb to close.
 */

#include "takeover.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http.h"
#include "request.h"

#define STACK_SIZE ((size_t)256 << 10) /* of addresses; memory is what is touched */

struct taken {
	struct sos_request request;
	void (*serve)(struct sos_request *request);
	char text[]; /* what the request points to and civetweb owns */
};

static const char *keep(char **place, const char *text)
{
	char *kept = *place;
	if (!text)
		return NULL;
	*place = stpcpy(kept, text) + 1;
	return kept;
}

static struct taken *copy_of(const struct sos_request *request)
{
	const char *texts[] = { request->method, request->path, request->query, request->busy.address };
	size_t size = 0;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		size += texts[i] ? strlen(texts[i]) + 1 : 0;
	struct taken *taken = malloc(sizeof(*taken) + size);
	if (!taken)
		return NULL;
	char *place = taken->text;
	memcpy(&taken->request, request, offsetof(struct sos_request, busy));
	taken->request.busy = (struct sos_connection){
		.address = keep(&place, request->busy.address),
		.port = request->busy.port,
		.local_port = request->busy.local_port
	};
	taken->request.connection = NULL;
	taken->request.closing = true;
	taken->request.method = keep(&place, request->method);
	taken->request.path = keep(&place, request->path);
	taken->request.query = keep(&place, request->query);
	return taken;
}

#define CROWD 32U

static atomic_uint count; /* of these threads */
static atomic_uint ended; /* of them, since the heap was trimmed */

static void *run(void *data)
{
	struct taken *taken = data;
	taken->serve(&taken->request);
	sos_http_end_request(&taken->request);
	close(taken->request.descriptor);
	sos_http_leave(&taken->request);
	free(taken);
	/* A crowd leaves holes all over the heap. */
	atomic_fetch_add(&ended, 1);
	if (atomic_fetch_sub(&count, 1) == 1 && atomic_load(&ended) >= CROWD) {
		atomic_store(&ended, 0);
		malloc_trim(0);
	}
	return NULL;
}

static void run_on_thread(struct taken *taken)
{
	atomic_fetch_add(&count, 1);
	pthread_attr_t attributes;
	pthread_t thread;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	bool made = pthread_create(&thread, &attributes, run, taken) == 0;
	pthread_attr_destroy(&attributes);
	if (!made)
		run(taken); /* there is no way back */
}

/* The connection's own descriptor in `*number`, a duplicate of it as the result; -1: not found. */
static int take_descriptor(const struct sos_request *request)
{
	int number = -1, substitute, fd = sos_connection_descriptor(&request->busy, &number);
	if (fd < 0)
		return -1;
	substitute = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (substitute < 0 || dup3(substitute, number, O_CLOEXEC) < 0) {
		close(fd);
		fd = -1;
	}
	if (substitute >= 0)
		close(substitute);
	return fd;
}

bool sos_take_over(struct sos_request *request, void (*serve)(struct sos_request *request))
{
	struct taken *taken = copy_of(request);
	int fd = taken ? take_descriptor(request) : -1;
	if (fd < 0) {
		free(taken);
		return false;
	}
	taken->serve = serve;
	taken->request.descriptor = fd;
	/* What the copy has now is not the caller's any more. */
	request->body = request->path_memory = NULL;
	request->taken = true;
	sos_http_close_after(request);
	sos_connection_replace(&request->busy, &taken->request.busy);
	run_on_thread(taken);
	return true;
}
