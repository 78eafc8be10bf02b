/* SPDX-License-Identifier: Apache-2.0 */
#include "channel-gnutls.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

static struct mv_gnutls loaded;
static bool complete;

static void load(void)
{
    void *handle = dlopen("libgnutls.so.30", RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return;
#define F(name)                                                                                    \
    if ((loaded.name = (typeof(name) *)dlsym(handle, #name)) == NULL)                              \
        return;
    MV_GNUTLS_SYMBOLS(F)
#undef F
    complete = true;
}

int mv_gnutls_load(const struct mv_gnutls **ret, struct mv_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (!complete)
        return mv_error_set(err, ENOPKG,
                            "TLS needs GnuTLS 3.7 or later: install libgnutls30 (libgnutls.so.30)");
    *ret = &loaded;
    return 0;
}
