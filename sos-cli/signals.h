/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* SIGINT, SIGTERM and SIGHUP as a descriptor. They are blocked only while we
 * wait for something that must be ended in order (a request, a session); at all
 * other times they do what they always do. Ones that were ignored when we were
 * started (nohup, a job of a script) stay ignored. */

/* Block them; nested calls count. The descriptor is readable when one came. */
int sos_signals_hold(void);
void sos_signals_release(void);
int sos_signals_fd(void);
/* The number of one that came, taken; 0: none. Never waits. */
int sos_signals_take(void);
