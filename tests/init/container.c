/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the Engine would do, as far as sos-init sees it. */
#include "init/container.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "init/box.h"

#define BIT(cap) (UINT64_C(1) << (cap))

static void need(int result, const char *what)
{
	if (result >= 0)
		return;
	fprintf(stderr, "container: %s: %s\n", what, strerror(errno));
	_exit(99);
}

static void bind_read_only(const char *from, const char *to)
{
	need(mount(from, to, NULL, MS_BIND | MS_REC, NULL), to);
	need(mount(NULL, to, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), to);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	need(fd, path);
	need((int)write(fd, text, strlen(text)), path);
	close(fd);
}

static void make_device(const char *path, unsigned major, unsigned minor)
{
	need(mknod(path, S_IFCHR | 0666, makedev(major, minor)), path);
	chmod(path, 0666);
}

/* In `root`, a fresh tmpfs: this machine's programs, /proc, /dev, an /etc of its own. */
static void fill_root(const char *ctl)
{
	static const char *const directories[] = {"usr", "proc", "dev",  "dev/pts",    "dev/shm", "etc",
						  "tmp", "root", "home", "home/agent", "var",     ".sos-ctl"};
	static const char *const links[] = {"bin", "sbin", "lib", "lib64"};
	char target[32];
	for (unsigned i = 0; i < sizeof directories / sizeof *directories; i++)
		need(mkdir(directories[i], 0755), directories[i]);
	for (unsigned i = 0; i < sizeof links / sizeof *links; i++) {
		snprintf(target, sizeof target, "usr/%s", links[i]);
		need(symlink(target, links[i]), links[i]);
	}
	chmod("tmp", 01777);
	need(chown("home/agent", 1000, 1000), "home/agent");
	bind_read_only("/usr", "usr");
	bind_read_only(ctl, ".sos-ctl");
	need(mount("proc", "proc", "proc", 0, NULL), "proc");
	need(mount("devpts", "dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620"), "devpts");
	need(symlink("pts/ptmx", "dev/ptmx"), "dev/ptmx");
	make_device("dev/null", 1, 3);
	make_device("dev/zero", 1, 5);
	make_device("dev/tty", 5, 0);
	need(symlink("/proc/self/fd", "dev/fd"), "dev/fd");
	need(symlink("/proc/self/fd/1", "dev/stdout"), "dev/stdout");
	need(symlink("/proc/self/fd/2", "dev/stderr"), "dev/stderr");
	write_file("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nagent:x:1000:1000::/home/agent:/bin/bash\n"
				 "service:x:1001:50::/var:/usr/sbin/nologin\n");
	write_file("etc/group", "root:x:0:\nagent:x:1000:\nstaff:x:50:agent,root\nextra:x:60:other,agent\n");
}

/* An interface with a way out, so that there is something to block. */
static void add_network(void)
{
	if (system("ip link set lo up && ip link add sos0 type veth peer name sos1 && ip link set sos1 up && ip addr "
		   "add 10.99.0.2/24 dev sos0 &&"
		   " ip link set sos0 up && ip route add default via 10.99.0.1") != 0)
		need(-1, "network (the command `ip`)");
}

static void limit_capabilities(const struct box_options *o)
{
	uint64_t keep = BIT(CAP_CHOWN) | BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_SETPCAP) | BIT(CAP_KILL);
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	if (!o->strict_caps)
		keep |= BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_NET_BIND_SERVICE);
	if (o->network)
		keep |= BIT(CAP_NET_ADMIN);
	for (unsigned long cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0UL, 0UL, 0UL) >= 0; cap++)
		if (!(keep & BIT(cap)))
			need(prctl(PR_CAPBSET_DROP, cap, 0UL, 0UL, 0UL), "bounding set");
	struct __user_cap_data_struct data[2] = {
		{(uint32_t)keep, (uint32_t)keep, (uint32_t)keep},
		{(uint32_t)(keep >> 32), (uint32_t)(keep >> 32), (uint32_t)(keep >> 32)},
	};
	need((int)syscall(SYS_capset, &head, data), "capset");
	need(prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL), "no_new_privs");
}

static char *variable(const char *name, const char *value)
{
	char *text;
	return asprintf(&text, "%s=%s", name, value) < 0 ? NULL : text;
}

static _Noreturn void run(const char *dir, const struct box_options *o, const char *nonce, int in, int out)
{
	char root[128], ctl[128];
	snprintf(root, sizeof root, "%s/root", dir);
	snprintf(ctl, sizeof ctl, "%s/ctl", dir);
	need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
	need(mkdir(root, 0755), root);
	need(mount("tmpfs", root, "tmpfs", 0, "mode=0755"), root);
	int init = open(o->init, O_RDONLY | O_CLOEXEC);
	need(init, o->init);
	if (o->network)
		add_network();
	need(chdir(root), root);
	fill_root(ctl);
	need(sethostname("box", 3), "hostname");
	need((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
	need(umount2(".", MNT_DETACH), "the old root");
	need(chdir("/"), "/");
	need(dup2(in, 0), "stdin");
	need(dup2(out, 1), "stdout");
	if (o->nofile) {
		struct rlimit files = {o->nofile, 4096};
		need(setrlimit(RLIMIT_NOFILE, &files), "RLIMIT_NOFILE");
	}
	limit_capabilities(o);
	static char name[] = "sos-init", home[] = "HOME=/root", from_image[] = "FROM_IMAGE=yes", host[] = "HOSTNAME=box";
	char *argv[] = {name, NULL};
	char *envp[] = {variable("SOS_NONCE", nonce),
			variable("SOS_TRANSPORT", o->transport ? o->transport : "socket"),
			variable("SOS_LEASE_MS", o->lease_ms ? o->lease_ms : "0"),
			variable("SOS_LIFETIME_MS", o->lifetime_ms ? o->lifetime_ms : "0"),
			home,
			from_image,
			host,
			NULL};
	fexecve(init, argv, envp);
	need(-1, "exec");
	_exit(99);
}

pid_t container_start(const char *dir, const struct box_options *options, const char *nonce, int in, int out)
{
	pid_t pid = (pid_t)syscall(SYS_clone,
				   CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | SIGCHLD,
				   NULL, NULL, NULL, NULL);
	if (pid == 0)
		run(dir, options, nonce, in, out);
	return pid;
}
