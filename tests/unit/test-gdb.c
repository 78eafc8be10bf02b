/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gdb/: the handlers of packets, which fill a reply and know no socket, on a
 * machine of the fake engine (GDB's manual, appendix E).
 */
#include "fake-machine.h"
#include "session.h"

static struct mv_gdb_session session;
static bool said; /* there is a reply */

static int setup(void **state)
{
    if (fake_machine_setup(state) != 0)
        return -1;
    MAKE("-c", "2", "-m", "64M");
    session = (struct mv_gdb_session){.machine = machine};
    assert_int_equal(mv_machine_start(machine, true, &err), 0);
    mv_gdb_attach(&session);
    return 0;
}

static int teardown(void **state)
{
    mv_gdb_clear_points(&session);
    mv_gdb_text_clear(&session.reply);
    return fake_machine_teardown(state);
}

static void ask(const char *packet)
{
    char copy[256];
    strcpy(copy, packet);
    mv_gdb_text_clear(&session.reply);
    said = mv_gdb_packet(&session, copy, strlen(copy));
    assert_false(session.reply.failed);
}

static void expect_text(const char *text)
{
    const struct mv_gdb_text *reply = &session.reply;
    if (!said || reply->len != strlen(text) ||
        (reply->len > 0 && memcmp(reply->bytes, text, reply->len) != 0))
        fail_msg("'%.*s' is not '%s'", (int)reply->len, reply->bytes, text);
}

#define ASK(packet, text) (ask(packet), expect_text(text))

static void test_questions(void **state)
{
    ASK("?", "T05thread:1;");
    ASK("qC", "QC1");
    ASK("qfThreadInfo", "m1,2");
    ASK("qsThreadInfo", "l");
    ASK("T2", "OK");
    ASK("T3", "E03");
    ASK("Hg2", "OK");
    assert_int_equal(session.general_cpu, 1);
    ASK("Hg9", "E16");
    ASK("vMustReplyEmpty", "");
    ASK("", "");
}

/* What a reply does besides its text. */
static void test_what_comes_behind(void **state)
{
    ASK("QStartNoAckMode", "OK");
    assert_true(session.no_ack && !session.closing);
    session.no_ack = false;
    ASK("D", "OK");
    assert_true(session.closing && !session.no_ack);
    session.closing = false;
    ask("k");
    assert_false(said || session.closing);
    assert_int_equal(mv_machine_wait(machine), MV_MACHINE_QUIT);
}

static void test_running_is_silent_until_a_stop(void **state)
{
    ask("vCont;c");
    assert_false(said);
    fake_await_idle(0);
    ask("g"); /* while it waits nothing but Ctrl-C is heard */
    assert_false(said);
    said = mv_gdb_interrupt(&session);
    expect_text("T02thread:1;");
    assert_false(fake_inside(0));
    /* Nobody waits: a second one says nothing. */
    assert_false(mv_gdb_interrupt(&session));
    ASK("vCont;x", "E16");
    ASK("vCont;c:9", "E16");
}

static void test_stops(void **state)
{
    assert_false(mv_gdb_machine_debug(&session, 1)); /* it does not wait for one */
    session.waiting = true;
    fake.cpus[1]->stop =
        (struct mv_debug_stop){MV_DEBUG_WATCHPOINT, 0x1234, MV_DEBUG_READ | MV_DEBUG_WRITE};
    said = mv_gdb_machine_debug(&session, 1);
    expect_text("T05thread:2;awatch:1234;");
    mv_gdb_text_clear(&session.reply);
    assert_false(mv_gdb_machine_event(&session, MV_MACHINE_EVENT_STOP, MV_CAUSE_HOST_QMP));
    session.waiting = true;
    assert_true(mv_gdb_machine_event(&session, MV_MACHINE_EVENT_STOP, MV_CAUSE_HOST_QMP));
    mv_gdb_text_clear(&session.reply);
    said = mv_gdb_machine_event(&session, MV_MACHINE_EVENT_SHUTDOWN, MV_CAUSE_HOST_QMP);
    expect_text("W00");
}

/* --- registers: the numbers are the table's */

static void test_registers(void **state)
{
    struct mv_arm64_state *cpu = &fake.cpus[0]->regs;
    cpu->x[5] = 0x1122334455667788;
    cpu->sp_el0 = 1;
    cpu->sp_el1 = 2;
    cpu->v[31][1] = 0xff;
    cpu->sys.vbar = 0x8000;
    ASK("p5", "8877665544332211");
    ASK("p1f", "0200000000000000");
    cpu->pstate = 0x3c4;
    ASK("p1f", "0100000000000000");
    ASK("P1f=0900000000000000", "OK");
    assert_int_equal(cpu->sp_el0, 9);
    assert_int_equal(cpu->sp_el1, 2);
    ASK("p41", "0000000000000000ff00000000000000");
    ASK("P5=0100000000000000", "OK");
    assert_int_equal(cpu->x[5], 1);
    /* Bits that are not there stay away; what cannot be at all is refused. */
    ASK("P43=ffffffff", "OK");
    assert_int_equal(cpu->fpcr, MV_FPCR_MASK);
    ASK("P21=01000000", "E16");
    assert_int_equal(cpu->pstate, 0x3c4);
    ASK("P20=00100000", "E16");         /* too short */
    ASK("P44=0000000000000000", "E16"); /* a system register */
    ASK("p44", "0008d03000000000");
    ASK("pffff", "E16");
    ask("g");
    assert_int_equal(session.reply.len, 2 * (33 * 8 + 4 + 32 * 16 + 8));
    ASK("G00", "E16");
    ASK("G0000000000000001", "OK");
    assert_int_equal(cpu->x[0], UINT64_C(0x0100000000000000));
}

/* Each number that is described is there, and none behind them. */
static void test_description(void **state)
{
    ask("qXfer:features:read:target.xml:0,2000");
    char *text = strndup(session.reply.bytes, session.reply.len), number[16];
    unsigned described = 0;
    for (const char *at = text; (at = strstr(at, "<reg name=")) != NULL; at++)
        described++;
    assert_int_equal(text[0], 'l');
    assert_non_null(strstr(text, "<architecture>aarch64</architecture>"));
    assert_null(strstr(text, "MIDR_EL1")); /* what the CPU is stands in no debugger's list */
    free(text);
    assert_true(described > 68);
    snprintf(number, sizeof number, "p%x", described - 1);
    ask(number);
    assert_int_equal(session.reply.len, 16);
    snprintf(number, sizeof number, "p%x", described);
    ASK(number, "E16");
    ask("qXfer:features:read:target.xml:10,8");
    assert_int_equal(session.reply.len, 9);
    ASK("qXfer:features:read:target.xml:100000,8", "l");
    ASK("qXfer:features:read:other.xml:0,8", "E00");
}

/* --- memory and points */

static void test_memory(void **state)
{
    ASK("M80100,4:01020304", "OK");
    assert_int_equal(fake.memory_changes, 1);
    ASK("m80100,4", "01020304");
    ASK("m100000,1", "E0e"); /* not mapped there */
    ASK("Qqemu.PhyMemMode:1", "OK");
    ASK("m80080100,4", "01020304");
    ASK("M80080100", "E16");
    fake.memory_changes = 0;
}

static void test_points(void **state)
{
    ASK("Z0,1000,4", "OK");
    ASK("Z1,1000,4", "OK"); /* the same one */
    ASK("Z2,2000,8", "OK");
    assert_int_equal(fake.points.break_count, 1);
    assert_int_equal(fake.points.breaks[0], 0x1000);
    assert_int_equal(fake.points.watch_count, 1);
    assert_int_equal(fake.points.watches[0].kinds, MV_DEBUG_WRITE);
    ASK("z0,1000,4", "OK");
    ASK("z2,2000,8", "OK");
    assert_int_equal(fake.points.break_count + fake.points.watch_count, 0);
    ASK("Z2,2000,0", "E16");
    ASK("Z7,2000,4", "E16");
}

/* s and c with an address, and which vCPUs go. */
static void test_going_on(void **state)
{
    ask("s80000040");
    assert_false(said);
    fake_await_idle(0);
    assert_int_equal(fake.cpus[0]->regs.pc, 0x80000040);
    assert_true(fake.cpus[0]->step && !fake.cpus[1]->step);
    mv_gdb_interrupt(&session);
    assert_false(fake.cpus[0]->step);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_questions),
        TEST(test_what_comes_behind),
        TEST(test_running_is_silent_until_a_stop),
        TEST(test_stops),
        TEST(test_registers),
        TEST(test_description),
        TEST(test_memory),
        TEST(test_points),
        TEST(test_going_on),
    };
    return cmocka_run_group_tests_name("gdb", tests, NULL, NULL);
}
