/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that have much to do which nobody waits for piece by piece. */
#ifndef MV_BASE_BULK_THREAD_H
#define MV_BASE_BULK_THREAD_H

/*
 * Have the calling thread give way at once to others that come to have something to do, such as
 * a vCPU that was idle: it gets as much of the processor as before, in longer pieces (Linux 6.12
 * and later; nothing changes with others).
 */
void mv_bulk_thread(void);

#endif
