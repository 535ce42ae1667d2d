/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "init/net.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "init/text.h"

struct route_request {
	struct nlmsghdr head;
	struct rtmsg route;
	struct rtattr attr;
	uint8_t address[16];
};

/* Scope "host" and not "universe": a sender that sets MSG_DONTROUTE skips wider ones. */
static int add_unreachable(int fd, int family, const void *address, unsigned address_length, unsigned prefix)
{
	struct route_request q = {
		.head = {.nlmsg_type = RTM_NEWROUTE,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK},
		.route = {.rtm_family = (unsigned char)family,
			  .rtm_dst_len = (unsigned char)prefix,
			  .rtm_table = RT_TABLE_MAIN,
			  .rtm_protocol = RTPROT_STATIC,
			  .rtm_scope = family == AF_INET ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE,
			  .rtm_type = RTN_UNREACHABLE},
		.attr = {.rta_len = (unsigned short)RTA_LENGTH(address_length), .rta_type = RTA_DST},
	};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		uint8_t rest[512];
	} answer;
	memcpy(q.address, address, address_length);
	q.head.nlmsg_len = (uint32_t)(NLMSG_LENGTH(sizeof q.route) + RTA_LENGTH(address_length));
	if (send(fd, &q, q.head.nlmsg_len, 0) < 0)
		return errno;
	ssize_t n = recv(fd, &answer, sizeof answer, 0);
	if (n < 0)
		return errno;
	if (n < (ssize_t)(sizeof answer.head + sizeof answer.error) || answer.head.nlmsg_type != NLMSG_ERROR)
		return EPROTO;
	return -answer.error.error;
}

const char *sos_net_block_link_local(int *errnum)
{
	static const uint8_t v4[4] = {169, 254};
	static const uint8_t v6[][16] = {
		{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54},
		{0xfe, 0x80, [12] = 0xa9, 0xfe, 0xa9, 0xfe},
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0) {
		*errnum = errno;
		return "netlink socket";
	}
	*errnum = add_unreachable(fd, AF_INET, v4, 4, 16);
	const char *what = *errnum ? "make 169.254.0.0/16 unreachable" : NULL;
	for (unsigned i = 0; !what && i < 2; i++) {
		int e = add_unreachable(fd, AF_INET6, v6[i], 16, 128);
		/* No IPv6 here, or off: then nothing is reached by it. */
		if (e && e != EAFNOSUPPORT && e != EOPNOTSUPP && e != EACCES && e != EPERM) {
			*errnum = e;
			what = "make the IPv6 metadata addresses unreachable";
		}
	}
	close(fd);
	return what;
}

void sos_net_loopback(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (ioctl(fd, SIOCGIFFLAGS, &request) == 0 && !(request.ifr_flags & IFF_UP)) {
		request.ifr_flags |= IFF_UP;
		ioctl(fd, SIOCSIFFLAGS, &request);
	}
	close(fd);
}

/* Only a regular file of no length, or none. */
static void write_if_empty(const char *path, const struct sos_text *text)
{
	struct stat st;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0644);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0) {
		ssize_t n = write(fd, text->data, text->length);
		if (n != (ssize_t)text->length && ftruncate(fd, 0) < 0) {
			/* A full disk: half a file is all there can be. */
		}
	}
	close(fd);
}

void sos_net_write_files(const char *hostname)
{
	struct sos_text hosts, name;
	sos_text_clear(&hosts);
	sos_text_clear(&name);
	sos_text_string(&hosts, "127.0.0.1\tlocalhost");
	if (hostname[0]) {
		sos_text_string(&hosts, " ");
		sos_text_string(&hosts, hostname);
		sos_text_string(&name, hostname);
		sos_text_string(&name, "\n");
	}
	sos_text_string(&hosts, "\n::1\tlocalhost ip6-localhost ip6-loopback\n");
	write_if_empty("/etc/hosts", &hosts);
	if (hostname[0])
		write_if_empty("/etc/hostname", &name);
}
