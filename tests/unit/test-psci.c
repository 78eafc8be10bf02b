/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/arm64/psci.c against Arm DEN 0022 (PSCI 1.1) and DEN 0028 (SMCCC 1.1): a
 * guest's calls, made by the vCPUs of the fake engine.
 */
#include "fake-machine.h"

#define VERSION           0x84000000
#define CPU_SUSPEND       0xc4000001
#define CPU_OFF           0x84000002
#define CPU_ON            0xc4000003
#define CPU_ON_32         0x84000003
#define AFFINITY_INFO     0xc4000004
#define AFFINITY_INFO_32  0x84000004
#define MIGRATE_INFO_TYPE 0x84000006
#define SYSTEM_OFF        0x84000008
#define SYSTEM_RESET      0x84000009
#define FEATURES          0x8400000a
#define SYSTEM_RESET2     0xc4000012
#define SMCCC_VERSION     0x80000000
#define ARCH_FEATURES     0x80000001

#define NOT_SUPPORTED      UINT64_MAX
#define INVALID_PARAMETERS (UINT64_MAX - 1)
#define ALREADY_ON         (UINT64_MAX - 3)
#define ON_PENDING         (UINT64_MAX - 4)
#define INVALID_ADDRESS    (UINT64_MAX - 8)

#define UPPER UINT64_C(0x5555555500000000)
#define ENTRY 0x80000000

static int setup_two(void **state)
{
    if (fake_machine_setup(state) != 0)
        return -1;
    MAKE("-c", "2", "-m", "64M");
    fake_machine_start();
    return 0;
}

static void test_results(void **state)
{
    static const struct {
        uint64_t x[4];
        uint64_t result;
    } cases[] = {
        {{VERSION}, 0x10001},
        {{UPPER | VERSION}, 0x10001}, /* the function is W0 */
        {{MIGRATE_INFO_TYPE}, 2},
        {{CPU_SUSPEND, 0, ENTRY, 0}, 0},
        {{SMCCC_VERSION}, 0x10001},
        {{ARCH_FEATURES, SMCCC_VERSION}, 0},
        {{ARCH_FEATURES, ARCH_FEATURES}, 0},
        {{ARCH_FEATURES, 0x80008000}, NOT_SUPPORTED}, /* ARCH_WORKAROUND_1 */
        {{ARCH_FEATURES, 0x80007fff}, NOT_SUPPORTED}, /* ARCH_WORKAROUND_2 */
        {{ARCH_FEATURES, VERSION}, NOT_SUPPORTED},
        {{0x80008000}, NOT_SUPPORTED},
        {{FEATURES, VERSION}, 0},
        {{FEATURES, CPU_ON}, 0},
        {{FEATURES, CPU_ON_32}, 0},
        {{FEATURES, CPU_OFF}, 0},
        {{FEATURES, AFFINITY_INFO}, 0},
        {{FEATURES, SYSTEM_OFF}, 0},
        {{FEATURES, SYSTEM_RESET}, 0},
        {{FEATURES, FEATURES}, 0},
        {{FEATURES, SMCCC_VERSION}, 0},
        {{FEATURES, 0xc4000000}, NOT_SUPPORTED}, /* VERSION has no 64-bit form */
        {{FEATURES, SYSTEM_RESET2}, NOT_SUPPORTED},
        {{SYSTEM_RESET2}, NOT_SUPPORTED},
        {{0x84000005}, NOT_SUPPORTED}, /* MIGRATE */
        {{0}, NOT_SUPPORTED},
        {{UINT64_MAX}, NOT_SUPPORTED},
        {{AFFINITY_INFO, 0, 0}, 0},
        {{AFFINITY_INFO, 1, 0}, 1},
        {{AFFINITY_INFO_32, UPPER | 1, UPPER}, 1},
        {{AFFINITY_INFO, 1, 1}, INVALID_PARAMETERS}, /* no levels above 0 */
        {{AFFINITY_INFO, 2, 0}, INVALID_PARAMETERS},
        {{AFFINITY_INFO, UPPER | 1, 0}, INVALID_PARAMETERS},
        {{AFFINITY_INFO, 0x80000001, 0}, INVALID_PARAMETERS}, /* a whole MPIDR */
        {{CPU_ON, 0, ENTRY, 0}, ALREADY_ON},
        {{CPU_ON, 2, ENTRY, 0}, INVALID_PARAMETERS},
        {{CPU_ON, 0x100, ENTRY, 0}, INVALID_PARAMETERS},
        {{CPU_ON, 1, ENTRY + 2, 0}, INVALID_ADDRESS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint64_t *x = cases[i].x;
        uint64_t result = fake_call(0, x[0], x[1], x[2], x[3]);
        if (result != cases[i].result)
            fail_msg("case %zu: 0x%llx", i, (unsigned long long)result);
    }
}

/* A call leaves the registers behind x0 alone, the PC too. */
static void test_registers_stay(void **state)
{
    struct fake_cpu *cpu = fake.cpus[0];
    fake_await_entry(0, 1);
    uint64_t pc = cpu->entry.pc;
    assert_int_equal(fake_call(0, VERSION, 11, 22, 33), 0x10001);
    assert_int_equal(cpu->regs.x[1], 11);
    assert_int_equal(cpu->regs.x[2], 22);
    assert_int_equal(cpu->regs.x[3], 33);
    assert_int_equal(cpu->regs.pc, pc);
    assert_int_equal(cpu->regs.pstate, FAKE_PSTATE);
}

static void test_cpu_on(void **state)
{
    assert_int_equal(fake_call(0, CPU_ON, 1, 0x80012344, UPPER | 77), 0);
    fake_await_entry(1, 1);
    const struct mv_arm64_state *entry = &fake.cpus[1]->entry;
    assert_int_equal(entry->pc, 0x80012344);
    assert_int_equal(entry->x[0], UPPER | 77);
    assert_int_equal(entry->pstate, FAKE_PSTATE);
    for (unsigned i = 1; i < 31; i++)
        assert_int_equal(entry->x[i], 0);
    assert_int_equal(fake_call(0, AFFINITY_INFO, 1, 0, 0), 0);
    assert_int_equal(fake_call(0, CPU_ON, 1, ENTRY, 0), ALREADY_ON);
}

/* Arguments of the 32-bit call are 32 bits wide. */
static void test_cpu_on_32(void **state)
{
    assert_int_equal(fake_call(0, CPU_ON_32, UPPER | 1, UPPER | 0x80000400, UPPER | 5), 0);
    fake_await_entry(1, 1);
    assert_int_equal(fake.cpus[1]->entry.pc, 0x80000400);
    assert_int_equal(fake.cpus[1]->entry.x[0], 5);
}

static void test_cpu_off_and_on(void **state)
{
    for (unsigned round = 1; round <= 50; round++) {
        assert_int_equal(fake_call(0, CPU_ON, 1, 4 * round, round), 0);
        fake_await_entry(1, round);
        assert_int_equal(fake.cpus[1]->entry.pc, 4 * round);
        assert_int_equal(fake.cpus[1]->entry.x[0], round);
        fake_queue(1, CPU_OFF, 0, 0, 0);
        /* As Linux's cpu_psci_cpu_kill does. */
        while (fake_call(0, AFFINITY_INFO, 1, 0, 0) != 1)
            ;
    }
    /* A CPU that is off runs nothing. */
    assert_false(fake_inside(1));
}

/* A second CPU_ON is refused, pending or done, and does not change the first. */
static void test_on_twice(void **state)
{
    for (unsigned round = 1; round <= 300; round++) {
        assert_int_equal(fake_call(0, CPU_ON, 1, 4 * round, round), 0);
        uint64_t again = fake_call(0, CPU_ON, 1, ENTRY, 0);
        assert_true(again == ON_PENDING || again == ALREADY_ON);
        fake_await_entry(1, round);
        assert_int_equal(fake.cpus[1]->entry.pc, 4 * round);
        assert_int_equal(fake.cpus[1]->entry.x[0], round);
        fake_queue(1, CPU_OFF, 0, 0, 0);
        while (fake_call(0, AFFINITY_INFO, 1, 0, 0) != 1)
            ;
    }
}

static void test_many_cpus(void **state)
{
    MAKE("-c", "64", "-m", "64M");
    fake_machine_start();
    for (unsigned i = 1; i < 64; i++) {
        /* Each turns the next one on, by its affinity. */
        uint64_t affinity = (i >> 4) << 8 | (i & 15);
        assert_int_equal(fake_call(i - 1, CPU_ON, affinity, ENTRY, i), 0);
        fake_await_entry(i, 1);
        assert_int_equal(fake.cpus[i]->entry.x[0], i);
    }
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(fake_call(63 - i, AFFINITY_INFO, (i >> 4) << 8 | (i & 15), 0, 0), 0);
}

static void test_random_calls(void **state)
{
    unsigned seed = 11;
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t id = (rand_r(&seed) % 2 ? 0x84000000 : 0xc4000000) + (unsigned)rand_r(&seed) % 32;
        uint32_t low = (uint32_t)id & 0xff;
        /* What does not return is tested elsewhere. */
        if (low == 2 || low == 8 || low == 9)
            continue;
        fake_call(0, id, (uint64_t)rand_r(&seed) % 4, (uint64_t)rand_r(&seed), 0);
    }
    assert_int_equal(fake_call(0, VERSION, 0, 0, 0), 0x10001);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_two, fake_machine_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_results),
        TEST(test_registers_stay),
        TEST(test_cpu_on),
        TEST(test_cpu_on_32),
        TEST(test_cpu_off_and_on),
        TEST(test_on_twice),
        TEST(test_random_calls),
        cmocka_unit_test_setup_teardown(test_many_cpus, fake_machine_setup, fake_machine_teardown),
    };
    return cmocka_run_group_tests_name("psci", tests, NULL, NULL);
}
