/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What our containers, networks and volumes carry, and what sos-init is told
 * by its environment. Labels hold only what never changes; see DESIGN.md 5. */

#define SOS_LABEL_POOL "sos.pool"
#define SOS_LABEL_SANDBOX "sos.sandbox"
#define SOS_LABEL_WARM "sos.warm" /* of the warm stock, in place of the sandbox: its key */
#define SOS_LABEL_NONCE "sos.nonce"
#define SOS_LABEL_CREATED "sos.created" /* seconds since 1970 */
#define SOS_LABEL_EXPIRES "sos.expires"
#define SOS_LABEL_PROTOCOL "sos.protocol"
#define SOS_LABEL_INIT "sos.init" /* of the volume: the program's hash */

#define SOS_ENV_NONCE "SOS_NONCE"
#define SOS_ENV_LEASE "SOS_LEASE_MS"
#define SOS_ENV_LIFETIME "SOS_LIFETIME_MS"
#define SOS_ENV_TRANSPORT "SOS_TRANSPORT" /* socket, attach, auto */

#define SOS_INIT_DIRECTORY "/.sos" /* where the volume is; SOS_INIT_PATH of wire/frame.h lies in it */

/* sos-init keeps the clocks of a sandbox too, for when we are gone; while we are there ours come first. */
#define SOS_CLOCK_GRACE_MS 1000
