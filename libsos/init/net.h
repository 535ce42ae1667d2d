/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a container's network needs before a tenant runs. */

/* With a network: link-local addresses, where clouds serve their metadata, become unreachable. Needs NET_ADMIN. NULL,
 * or what failed, and then *errnum. */
const char *sos_net_block_link_local(int *errnum);
/* Without: the loopback device comes up where that is needed and allowed. */
void sos_net_loopback(void);
/* /etc/hosts and /etc/hostname where they are missing or empty, as in a container whose network the Engine did not
 * set up. A read-only root is left alone. */
void sos_net_write_files(const char *hostname);
