/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Descriptors taken at start and given up when the machine has none left, so
 * that a tenant who eats the system's files cannot stop PID 1 from acting. */

void sos_reserve_refill(void);
void sos_reserve_spend(void);
/* /dev/null as it was before any tenant ran. */
int sos_reserve_null(void);       /* read and write */
int sos_reserve_null_input(void); /* read only */
int sos_reserve_init(void);       /* 0 or a negative errno */
