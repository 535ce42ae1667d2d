/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(cap) (UINT64_C(1) << (cap))

static const uint64_t working = BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_SETPCAP) | BIT(CAP_KILL) | BIT(CAP_CHOWN);
static const uint64_t dropped = BIT(CAP_NET_ADMIN) | BIT(CAP_SYS_PTRACE);

static uint64_t permitted; /* PID 1's */
static uint64_t childrens; /* what a child that is root gets */

static int set(uint64_t effective, uint64_t all)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = (uint32_t)effective, .permitted = (uint32_t)all},
		{.effective = (uint32_t)(effective >> 32), .permitted = (uint32_t)(all >> 32)},
	};
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

void sos_caps_init(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	if (syscall(SYS_capget, &head, data) == 0)
		permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0UL, 0UL, 0UL);
}

bool sos_caps_has_net_admin(void)
{
	return permitted & BIT(CAP_NET_ADMIN);
}

int sos_caps_lock(bool strict)
{
	uint64_t off = strict ? UINT64_MAX : dropped | BIT(CAP_SETPCAP);
	for (unsigned long cap = 0; cap < 64; cap++) {
		int bound = prctl(PR_CAPBSET_READ, cap, 0UL, 0UL, 0UL);
		if (bound < 0)
			break; /* beyond the kernel's last one */
		if (bound && (off & BIT(cap)) && prctl(PR_CAPBSET_DROP, cap, 0UL, 0UL, 0UL) < 0)
			return -errno;
	}
	permitted &= ~dropped;
	childrens = permitted & ~off;
	if (strict)
		permitted &= working;
	return set(permitted & working, permitted);
}

void sos_caps_raise(void)
{
	set(permitted, permitted);
}

void sos_caps_lower(void)
{
	set(permitted & working, permitted);
}

void sos_caps_child_raise(void)
{
	set(permitted, permitted);
}

int sos_caps_child_final(void)
{
	return set(childrens, childrens);
}
