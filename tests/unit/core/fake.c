/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake_internal.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "util/clock.h"
#include "util/error.h"
#include "util/guard.h"

struct fake_world fake = {.lock = PTHREAD_MUTEX_INITIALIZER};
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct {
	int code, times;
	bool took_effect;
	char message[256];
	int gate; /* an eventfd while it hangs; readable: go on */
	bool hangs;
	int hanging, calls;
} steps[FAKE_STEPS];
void fake_fail(enum fake_step step, int code, int times, bool took_effect, const char *message)
{
	SOS_LOCKED(&fake.lock);
	steps[step].code = code;
	steps[step].times = times;
	steps[step].took_effect = took_effect;
	snprintf(steps[step].message, sizeof(steps[step].message), "%s", message ? message : "made to fail");
}

void fake_block(enum fake_step step)
{
	SOS_LOCKED(&fake.lock);
	steps[step].hangs = true;
	steps[step].gate = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void fake_release(enum fake_step step)
{
	SOS_LOCKED(&fake.lock);
	steps[step].hangs = false;
	eventfd_write(steps[step].gate, 1);
}

void fake_wait_blocked(enum fake_step step, int count)
{
	SOS_LOCKED(&fake.lock);
	while (steps[step].hanging < count)
		pthread_cond_wait(&changed, &fake.lock);
}

int fake_calls(enum fake_step step)
{
	SOS_LOCKED(&fake.lock);
	return steps[step].calls;
}

int fake_hang(enum fake_step step, int64_t deadline, int cancel_fd, int ended_fd, struct sos_error *error)
{
	pthread_mutex_lock(&fake.lock);
	steps[step].calls++;
	bool hangs = steps[step].hangs;
	struct pollfd fds[3] = {
		{.fd = steps[step].gate, .events = POLLIN},
		{.fd = cancel_fd, .events = POLLIN},
		{.fd = ended_fd, .events = POLLIN},
	};
	steps[step].hanging += hangs;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&fake.lock);
	if (!hangs)
		return 0;
	int r = poll(fds, 3, sos_clock_poll_ms(deadline));
	pthread_mutex_lock(&fake.lock);
	steps[step].hanging--;
	pthread_mutex_unlock(&fake.lock);
	if (r == 0)
		return sos_error_set(error, SOS_ERROR_DEADLINE, "hung");
	if (fds[1].revents)
		return sos_error_set(error, SOS_ERROR_CANCELLED, "cancelled");
	if (fds[2].revents)
		return sos_error_set(error, SOS_ERROR_ENDED, "ended");
	return 0;
}

int fake_failure(enum fake_step step, bool *effect, struct sos_error *error)
{
	*effect = true;
	if (steps[step].times <= 0)
		return 0;
	steps[step].times--;
	*effect = steps[step].took_effect;
	return sos_error_set(error, steps[step].code, "%s", steps[step].message);
}

void fake_add_container(const char *name, const char *pool, const char *nonce, char id[65])
{
	struct fake_container *c = &fake.containers[fake.container_count++];
	snprintf(c->id, sizeof(c->id), "%064u", ++fake.next_id);
	snprintf(c->name, sizeof(c->name), "%s", name);
	snprintf(c->pool, sizeof(c->pool), "%s", pool);
	snprintf(c->nonce, sizeof(c->nonce), "%s", nonce);
	snprintf(id, 65, "%s", c->id);
	if (fake.container_count > fake.most_containers)
		fake.most_containers = fake.container_count;
}

void fake_images_missing(bool missing)
{
	SOS_LOCKED(&fake.lock);
	fake.images_missing = missing;
}

void fake_images_change(void)
{
	SOS_LOCKED(&fake.lock);
	fake.image_version++;
}

int fake_containers(void)
{
	SOS_LOCKED(&fake.lock);
	return fake.container_count;
}

int fake_most_containers(void)
{
	SOS_LOCKED(&fake.lock);
	return fake.most_containers;
}

int fake_links(void)
{
	SOS_LOCKED(&fake.lock);
	return fake.link_count;
}

int fake_sessions(void)
{
	SOS_LOCKED(&fake.lock);
	return fake.session_count;
}

int fake_networks(void)
{
	SOS_LOCKED(&fake.lock);
	return fake.network_count;
}

void fake_leave(const char *pool)
{
	SOS_LOCKED(&fake.lock);
	char id[65];
	fake_add_container("left", pool, "none", id);
}

void fake_no_socket(bool at_create)
{
	SOS_LOCKED(&fake.lock);
	fake.no_socket = true;
	fake.no_bind = at_create;
}
