/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sos-init: PID 1 of a sandbox. Starts what the library asks for, buries
 * everything, ends the container when one of its clocks runs out. The tenant
 * is root beside it: nothing here may be reached, stopped or filled up from
 * inside. One thread, nothing blocks, all tables are bounded. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init/caps.h"
#include "init/child.h"
#include "init/clocks.h"
#include "init/control.h"
#include "init/environ.h"
#include "init/event.h"
#include "init/proc.h"
#include "init/relay.h"
#include "init/request.h"
#include "init/reserve.h"
#include "init/resume.h"
#include "init/spawn.h"
#include "init/text.h"
#include "util/clock.h"

/* No process of a tenant has it, so that the checks by which prlimit and the like compare all ids fail. Below 65536:
 * user namespaces map that many. */
#define SAVED_GROUP 61007

static bool more_to_reap = true;

static _Noreturn void die(const char *what)
{
	struct sos_text text;
	int e = errno;
	sos_text_clear(&text);
	sos_text_string(&text, "sos-init: ");
	sos_text_string(&text, what);
	if (e) {
		sos_text_string(&text, ": ");
		sos_text_string(&text, strerror(e));
	}
	sos_text_string(&text, "\n");
	ssize_t n = write(2, text.data, text.length);
	(void)n;
	_exit(71);
}

static _Noreturn void end(const char *reason)
{
	uint8_t data[SOS_FRAME_HEADER + 64];
	struct sos_frame_writer w;
	sos_frame_begin(&w, data, sizeof data);
	sos_frame_put_string(&w, reason);
	sos_control_send(data, sos_frame_end(&w, SOS_FRAME_CLOSING, 0, 0));
	sos_control_flush(sos_clock_deadline(200));
	kill(-1, SIGKILL);
	_exit(0); /* the kernel ends whoever is left in the namespace before it goes */
}

/* SIGTERM counts only from outside: a kill() whose sender has no pid here. What rt_sigqueueinfo lets a tenant claim
 * has another code. */
static void on_signal(struct sos_event *event, uint32_t events)
{
	struct signalfd_siginfo info;
	if (read(event->fd, &info, sizeof info) != (ssize_t)sizeof info)
		return;
	if (info.ssi_signo == SIGTERM && info.ssi_code == SI_USER && info.ssi_pid == 0)
		end("terminated");
	if (info.ssi_signo == SIGCHLD)
		more_to_reap = true;
}

static struct sos_event signals = {.ready = on_signal, .fd = -1};

static void start_signals(void)
{
	sigset_t set;
	for (int i = 1; i < 65; i++)
		signal(i, SIG_DFL); /* for PID 1 that means: dropped, when it comes from inside */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals.fd < 0 || sos_event_set(&signals, EPOLLIN) < 0)
		die("signals");
}

/* Out of reach before anything else. */
static void harden(void)
{
	if (getpid() != 1)
		die("must be the first process of a container");
	prctl(PR_SET_DUMPABLE, 0UL, 0UL, 0UL, 0UL);
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) != fd)
			die("/dev/null");
	syscall(SYS_close_range, 3U, ~0U, 0U);
	sos_caps_init();
	if (setresgid(0, 0, SAVED_GROUP) < 0)
		die("saved group id");
	prctl(PR_SET_DUMPABLE, 0UL, 0UL, 0UL, 0UL);
}

static void on_room(void)
{
	sos_resume_more();
	sos_relay_pump_all();
}

static const struct sos_control_handler handler = {
	.hello = sos_request_hello,
	.frame = sos_request,
	.room = on_room,
	.lost = sos_resume_lost,
};

static uint64_t milliseconds(const char *name, char **envp)
{
	const char *text = sos_environ_get(envp, name);
	uint64_t value = 0;
	if (text && sos_text_parse(text, strlen(text), UINT64_MAX / 2, &value) < 0)
		value = 0;
	return value;
}

static void start(char **envp)
{
	static char nonce[33];
	const char *hex = sos_environ_get(envp, "SOS_NONCE"), *by = sos_environ_get(envp, "SOS_TRANSPORT");
	if (!hex || strlen(hex) != 32) {
		errno = 0;
		die("SOS_NONCE: 32 hex digits are needed");
	}
	memcpy(nonce, hex, 32);
	enum sos_transport transport = by && strcmp(by, "attach") == 0   ? SOS_TRANSPORT_ATTACH
				       : by && strcmp(by, "socket") == 0 ? SOS_TRANSPORT_SOCKET
									 : SOS_TRANSPORT_AUTO;
	sos_clocks_init(milliseconds("SOS_LIFETIME_MS", envp), milliseconds("SOS_LEASE_MS", envp));
	sos_environ_init(envp);
	sos_control_start(transport, nonce, &handler);
}

int main(int argc, char **argv, char **envp)
{
	harden();
	sos_spawn_init();
	if (sos_event_init() < 0 || sos_proc_init() < 0 || sos_reserve_init() < 0)
		die("start");
	start_signals();
	start(envp);
	for (;;) {
		if (more_to_reap)
			more_to_reap = sos_child_reap();
		const char *expired = sos_clocks_expired();
		if (expired)
			end(expired);
		sos_control_tick();
		int64_t due = sos_clocks_due(), dial = sos_control_due();
		sos_event_wait(more_to_reap ? 0 : due < dial ? due : dial);
	}
}
