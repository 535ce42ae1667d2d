/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Long commands, the same bytes for everybody, and what they print. */

/* 4,000 bytes of small steps such as an agent writes: assignments, tests, a line of output at the end. */
const char *bench_text_long(void);
#define BENCH_TEXT_LONG_OUTPUT "44\n"
/* 100 KB of text in a heredoc, counted by wc. */
const char *bench_text_heredoc(void);
#define BENCH_TEXT_HEREDOC_OUTPUT "102400\n"

/* 150 steps of 10 ms of work: the loop, and one step. */
#define BENCH_ROLLOUT_STEPS 150
#define BENCH_ROLLOUT_STEP "sleep 0.01"
#define BENCH_ROLLOUT_LOOP "for i in {1..150}; do " BENCH_ROLLOUT_STEP "; done; echo done\n"
