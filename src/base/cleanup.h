/* SPDX-License-Identifier: Apache-2.0 */
/* Scope-bound clean-up by the compiler's cleanup attribute. */
#ifndef MV_BASE_CLEANUP_H
#define MV_BASE_CLEANUP_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void mv_cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void mv_cleanup_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static inline void mv_cleanup_fclose(FILE **f)
{
    if (*f != NULL)
        fclose(*f);
}

static inline void mv_cleanup_unlock(pthread_mutex_t **m)
{
    pthread_mutex_unlock(*m);
}

/* For variables: freed, closed when the scope is left. */
#define CLEANUP_FREE   __attribute__((cleanup(mv_cleanup_free)))
#define CLEANUP_CLOSE  __attribute__((cleanup(mv_cleanup_close)))
#define CLEANUP_FCLOSE __attribute__((cleanup(mv_cleanup_fclose)))

/* Hold a mutex until the end of the scope. */
#define MV_LOCK_SCOPE_NAME2(line) mv_lock_scope_##line
#define MV_LOCK_SCOPE_NAME(line)  MV_LOCK_SCOPE_NAME2(line)
#define MV_LOCK_SCOPE(mutex)                                                                       \
    __attribute__((cleanup(mv_cleanup_unlock))) pthread_mutex_t *MV_LOCK_SCOPE_NAME(__LINE__) =    \
        (mutex);                                                                                   \
    pthread_mutex_lock(MV_LOCK_SCOPE_NAME(__LINE__))

#endif
