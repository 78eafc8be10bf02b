/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that have much to do which nobody waits for piece by piece, and threads that somebody
 * waits for.  Neither gets more of the processor than before, but in longer or shorter pieces
 * (Linux 6.12 and later; nothing changes with others).
 */
#ifndef MV_BASE_THREAD_SLICE_H
#define MV_BASE_THREAD_SLICE_H

/* The calling thread gives way at once to others that come to have something to do, such as a
 * vCPU that was idle. */
void mv_thread_bulk(void);
/* Others give way to it when it comes to have something to do, which is little. */
void mv_thread_prompt(void);

#endif
