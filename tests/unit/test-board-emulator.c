/* SPDX-License-Identifier: Apache-2.0 */
/* The same second board as in test-board.c under the emulator: its guest finds the UART there. */
#include "board-tiny.h"

#include "config.h"
#include "loop.h"
#include "machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* It says "ok" and powers off (PSCI SYSTEM_OFF). */
static const uint32_t program[] = {
    0xd2a12001, /* movz x1, #0x900, lsl #16 */
    0x52800de2, /* movz w2, #'o' */
    0x39000022, /* strb w2, [x1] */
    0x52800d62, /* movz w2, #'k' */
    0x39000022, /* strb w2, [x1] */
    0x52800100, /* movz w0, #0x8 */
    0x72b08000, /* movk w0, #0x8400, lsl #16 */
    0xd4000002, /* hvc #0 */
    0x14000000, /* b . */
};

static char said[16];

static unsigned take(struct mv_serial_backend *backend, const uint8_t *buf, unsigned len)
{
    size_t used = strlen(said);
    assert_true(used + len < sizeof said);
    memcpy(said + used, buf, len);
    return len;
}

static void has_room(struct mv_serial_backend *backend)
{
}

static void test_guest(void **state)
{
    struct mv_serial_backend serial = {.write = take, .rx_ready = has_room};
    struct mv_config config;
    struct mv_error err;
    struct mv_loop *loop;
    struct mv_machine *machine;
    char path[] = "/tmp/test-board-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, program, sizeof program), sizeof program);
    close(fd);
    char *words[] = {"--firmware", path, "-m", "4M", "--engine", "emulator"};
    assert_int_equal(mv_config_parse_run(6, words, &config, &err), 0);
    free(config.machine);
    config.machine = strdup("tiny");
    assert_int_equal(mv_loop_create(&loop, &err), 0);
    if (mv_machine_create(&config, loop, &serial, &machine, &err) < 0)
        fail_msg("%s", err.text);
    unlink(path);
    assert_int_equal(mv_machine_start(machine, false, &err), 0);
    assert_int_equal(mv_machine_wait(machine), MV_MACHINE_POWERED_OFF);
    assert_string_equal(said, "ok");
    mv_machine_destroy(machine);
    mv_loop_destroy(loop);
    mv_config_free(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_guest)};
    return cmocka_run_group_tests_name("board-emulator", tests, NULL, NULL);
}
