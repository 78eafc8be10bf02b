/* SPDX-License-Identifier: Apache-2.0 */
/* A machine on the fake engine, made of the words of a command line. */
#ifndef MV_TESTS_FAKE_MACHINE_H
#define MV_TESTS_FAKE_MACHINE_H

#include "config.h"
#include "fake-engine.h"
#include "fake-kernel.h"
#include "loop.h"
#include "machine.h"

static struct mv_loop *loop;
static struct mv_machine *machine;
static struct mv_config config;
static struct mv_error err;
static char kernel_path[64];
static uint8_t kernel[FAKE_KERNEL_SIZE];
static const char *fake_board = "arm64";

/* Parse words (a NULL behind the last) and try to make a machine of them. */
static inline int fake_machine_try(const char *const *words)
{
    int argc = 0;
    while (words[argc] != NULL)
        argc++;
    err.text[0] = '\0';
    if (mv_config_parse_run(argc, (char *const *)(uintptr_t)words, &config, &err) != 0)
        fail_msg("%s", err.text);
    /* The only engine of this program, and its boards; the config room does not know them. */
    free(config.engine);
    config.engine = strdup("fake");
    free(config.machine);
    config.machine = strdup(fake_board);
    return mv_machine_create(&config, loop, NULL, &machine, &err);
}

#define MAKE(...)                                                                                  \
    do {                                                                                           \
        const char *const words[] = {"-k", kernel_path, __VA_ARGS__, NULL};                        \
        if (fake_machine_try(words) != 0)                                                          \
            fail_msg("%s", err.text);                                                              \
    } while (0)

static inline void fake_machine_start(void)
{
    assert_int_equal(mv_machine_start(machine, false, &err), 0);
}

static inline int fake_machine_setup(void **state)
{
    machine = NULL;
    config = (struct mv_config){0};
    fake.probe_result = 0;
    fake_kernel_fill(kernel, 0, 0x10000, 0xa);
    fake_file(kernel_path, kernel, sizeof kernel);
    return mv_loop_create(&loop, &err);
}

static inline int fake_machine_teardown(void **state)
{
    mv_machine_destroy(machine);
    mv_loop_destroy(loop);
    mv_config_free(&config);
    unlink(kernel_path);
    return fake.alive == 0 ? 0 : -1;
}

#endif
