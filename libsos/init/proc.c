/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init/text.h"

#define PROCS_MAX SOS_PROCS_MAX

static int proc_fd = -1;
static struct sos_proc procs[PROCS_MAX];
static unsigned count;

int sos_proc_init(void)
{
	proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return proc_fd < 0 ? -errno : 0;
}

int sos_proc_dir(void)
{
	return proc_fd;
}

/* "pid (comm) S ppid pgrp session ..."; comm may hold anything, so from the last parenthesis on. */
static bool parse_stat(char *text, struct sos_proc *p)
{
	char *s = strrchr(text, ')');
	if (!s || s[1] != ' ')
		return false;
	p->state = s[2];
	s += 3;
	for (int field = 4; field <= 22; field++) {
		long long value = strtoll(s, &s, 10);
		if (field == 4)
			p->parent = (pid_t)value;
		else if (field == 5)
			p->group = (pid_t)value;
		else if (field == 6)
			p->session = (pid_t)value;
		else if (field == 22)
			p->start = (uint64_t)value;
	}
	return true;
}

bool sos_proc_read(pid_t pid, struct sos_proc *p)
{
	struct sos_text path;
	char text[1024];
	sos_text_clear(&path);
	sos_text_number(&path, (uint64_t)pid);
	sos_text_string(&path, "/stat");
	int fd = openat(proc_fd, path.data, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	p->pid = pid;
	p->mark = 0;
	return parse_stat(text, p);
}

static int by_pid(const void *a, const void *b)
{
	pid_t x = ((const struct sos_proc *)a)->pid, y = ((const struct sos_proc *)b)->pid;
	return x < y ? -1 : x > y;
}

/* Everybody, by ascending pid. More than fit: the rest is seen when these are gone. */
struct sos_proc *sos_proc_scan(unsigned *n_procs)
{
	struct entry {
		uint64_t inode;
		int64_t offset;
		uint16_t length;
		uint8_t type;
		char name[];
	};
	static char buffer[16384] __attribute__((aligned(8)));
	count = 0;
	lseek(proc_fd, 0, SEEK_SET);
	long n;
	while ((n = syscall(SYS_getdents64, proc_fd, buffer, sizeof buffer)) > 0) {
		for (long at = 0; at < n;) {
			const struct entry *e = (const struct entry *)(buffer + at);
			uint64_t pid;
			at += e->length;
			if (sos_text_parse(e->name, strlen(e->name), INT32_MAX, &pid) == 0 && count < PROCS_MAX &&
			    sos_proc_read((pid_t)pid, &procs[count]))
				count++;
		}
	}
	qsort(procs, count, sizeof *procs, by_pid);
	*n_procs = count;
	return procs;
}

struct sos_proc *sos_proc_find(pid_t pid)
{
	struct sos_proc key = {.pid = pid};
	return bsearch(&key, procs, count, sizeof *procs, by_pid);
}
