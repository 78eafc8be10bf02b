/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read-write locks that let a writer in: glibc's usual kind lets readers in
 * before it for as long as there are any, so that a guest's vCPUs could keep
 * the main thread out for ever.  No thread may take the read side twice.
 */
#ifndef MV_BASE_RWLOCK_H
#define MV_BASE_RWLOCK_H

#include <pthread.h>

static inline void mv_rwlock_init(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(lock, &attr);
    pthread_rwlockattr_destroy(&attr);
}

#endif
