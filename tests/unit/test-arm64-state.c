/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's state: arch/arm64's table against itself and the emulator's system
 * registers; get, set, get gives the same; what cannot be is refused by name;
 * and a guest that is stopped, taken apart and put together goes on the same.
 */
#include "arm64.h"
#include "cpu.h"
#include "emulator.h"
#include "fake-kernel.h"
#include "config.h"
#include "loop.h"
#include "machine.h"
#include "space.h"
#include "state.h"

#include <sched.h>

#define PPI_VIRTUAL  27
#define PPI_PHYSICAL 30

static struct mv_error err;
static struct mv_loop *loop;
static struct mv_space *space;
static struct mv_engine *engine;
static struct mv_vcpu *vcpus[2];

/* --- an interrupt controller that remembers the timers' lines */

static bool lines[2][32];

static void set_ppi(struct mv_irqchip *chip, unsigned cpu, unsigned intid, bool level)
{
    lines[cpu][intid] = level;
}

static void set_sink(struct mv_irqchip *chip, struct mv_irq_sink *sink)
{
}

static const struct mv_irqchip_ops chip_ops = {.set_ppi = set_ppi, .set_sink = set_sink};
static struct mv_irqchip chip = {&chip_ops};

static int setup(void **state)
{
    memset(lines, 0, sizeof lines);
    if (mv_loop_create(&loop, &err) < 0 || mv_space_create(&space, &err) < 0)
        return -1;
    struct mv_engine_params params = {.space = space, .loop = loop, .cpus = 2,
                                      .virtual_timer_intid = PPI_VIRTUAL,
                                      .physical_timer_intid = PPI_PHYSICAL};
    if (mv_emulator_ops.create(&params, &engine, &err) < 0)
        return -1;
    mv_emulator_ops.set_irqchip(engine, &chip);
    for (unsigned i = 0; i < 2; i++) {
        if (mv_emulator_ops.vcpu_create(engine, i, &vcpus[i], &err) < 0)
            return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    mv_emulator_ops.vcpu_destroy(vcpus[1]);
    mv_emulator_ops.vcpu_destroy(vcpus[0]);
    mv_emulator_ops.destroy(engine);
    mv_space_destroy(space);
    mv_loop_destroy(loop);
    return 0;
}

static void get(unsigned index, struct mv_arm64_state *ret)
{
    memset(ret, 0xee, sizeof *ret);
    mv_emulator_ops.vcpu_get_state(vcpus[index], ret);
}

static int set(unsigned index, const struct mv_arm64_state *state)
{
    err.text[0] = '\0';
    return mv_emulator_ops.vcpu_set_state(vcpus[index], state, &err);
}

/* --- the table */

static const struct mv_register *find_register(const char *name)
{
    for (size_t i = 0; i < mv_arm64.register_count; i++) {
        if (strcmp(mv_arm64.registers[i].name, name) == 0)
            return &mv_arm64.registers[i];
    }
    return NULL;
}

/* Groups stand in a debugger's order, names once, members within the state. */
static void test_registers(void **state)
{
    for (size_t i = 0; i < mv_arm64.register_count; i++) {
        const struct mv_register *reg = &mv_arm64.registers[i];
        assert_true(i == 0 || reg->group >= reg[-1].group);
        assert_ptr_equal(find_register(reg->name), reg);
        assert_true(reg->size <= MV_REGISTER_SIZE_MAX &&
                    reg->offset + reg->size <= mv_arm64.state_size);
    }
}

/* The emulator's system registers that are storage are the table's, by name and place. */
static void test_system_registers(void **state)
{
    static const struct mv_sysreg_table *const tables[] = {
        &mv_sysreg_control, &mv_sysreg_id, &mv_sysreg_device, &mv_sysreg_debug};
    unsigned stored = 0, system = 0;
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct mv_sysreg *row = &tables[t]->rows[i];
            const struct mv_register *reg = find_register(row->name);
            if (row->offset == 0)
                continue;
            stored++;
            if (reg == NULL)
                fail_msg("%s is no register", row->name);
            assert_int_equal(reg->offset - offsetof(struct mv_arm64_state, sys),
                             row->offset - offsetof(struct mv_cpu, sys));
        }
    }
    for (size_t i = 0; i < mv_arm64.register_count; i++)
        system += mv_arm64.registers[i].group >= MV_REGISTER_SYSTEM;
    assert_int_equal(stored, system - 1); /* the counter's frequency is no register */
}

/* --- get, set, get */

static uint64_t pick(void)
{
    static uint64_t seed = 88172645463325252;
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Legal values, the limits among them, in every field that may be set. */
static void fill(struct mv_arm64_state *state)
{
    const struct mv_state_table *table = mv_arm64.state;
    for (size_t i = 0; i < table->field_count; i++) {
        const struct mv_state_field *field = &table->fields[i];
        size_t bits = 8 * mv_state_type_size(field->type);
        for (size_t n = 0; n < field->count && !field->is_same; n++) {
            uint64_t value = pick() % 4 == 0 ? UINT64_MAX : pick() % 4 == 0 ? 0 : pick();
            value = value >> (64 - bits) & field->mask;
            if (field->type == MV_STATE_BOOL)
                value &= 1;
            if (value < field->min || value > field->max)
                value = field->max;
            mv_state_set(field, state, n, value);
        }
    }
    /* What goes together. */
    if (!(state->pstate & MV_SPSR_EL1))
        state->pstate &= ~MV_SPSR_SP;
    state->sys.sctlr |= MV_SCTLR_RES1;
    state->sys.oslsr |= MV_OSLSR_OSLM;
    state->monitor.size = (uint8_t)(1u << pick() % 5);
    state->monitor.pa &= ~(uint64_t)15;
}

static void expect_same(const struct mv_arm64_state *a, const struct mv_arm64_state *b)
{
    for (size_t i = 0; i < mv_arm64.state->field_count; i++) {
        const struct mv_state_field *field = &mv_arm64.state->fields[i];
        for (size_t n = 0; n < field->count; n++) {
            uint64_t x = mv_state_get(field, a, n), y = mv_state_get(field, b, n);
            if (x != y)
                fail_msg("%s[%zu]: 0x%llx is not 0x%llx", field->name, n, (unsigned long long)y,
                         (unsigned long long)x);
        }
    }
}

static void test_get_set_get(void **state)
{
    struct mv_arm64_state want, have, other;
    get(1, &other);
    for (unsigned round = 0; round < 2000; round++) {
        get(0, &want);
        fill(&want);
        if (set(0, &want) != 0)
            fail_msg("%s", err.text);
        get(0, &have);
        expect_same(&want, &have);
    }
    /* No other vCPU has anything of it, and a reset ends it all. */
    get(1, &have);
    expect_same(&other, &have);
    mv_emulator_ops.vcpu_reset(vcpus[0]);
    get(0, &have);
    have.id.mpidr = other.id.mpidr;
    expect_same(&other, &have);
}

/* In bytes and back, as a save would have it. */
static void test_save_and_load(void **state)
{
    struct mv_arm64_state want, have;
    get(0, &want);
    fill(&want);
    size_t len = mv_state_size(mv_arm64.state);
    uint8_t *bytes = malloc(len);
    mv_state_save(mv_arm64.state, &want, bytes);
    get(0, &have);
    if (mv_state_load(mv_arm64.state, &have, "vcpu0", bytes, len, &err) != 0 ||
        set(0, &have) != 0)
        fail_msg("%s", err.text);
    get(0, &have);
    expect_same(&want, &have);
    /* Of another vCPU: its identity is another one. */
    get(1, &have);
    assert_int_equal(mv_state_load(mv_arm64.state, &have, "vcpu1", bytes, len, &err), -EINVAL);
    assert_non_null(strstr(err.text, "vcpu1/mpidr_el1"));
    free(bytes);
}

/* --- refusals */

static void expect_refusal(const struct mv_arm64_state *bad, const char *field)
{
    struct mv_arm64_state before, after;
    get(0, &before);
    if (set(0, bad) != -EINVAL || strstr(err.text, field) == NULL)
        fail_msg("%s: '%s'", field, err.text);
    get(0, &after);
    expect_same(&before, &after);
}

/* Each field beyond its limits, and each ID register that is another one. */
static void test_refusals(void **state)
{
    struct mv_arm64_state good, bad;
    unsigned tried = 0;
    get(0, &good);
    for (size_t i = 0; i < mv_arm64.state->field_count; i++) {
        const struct mv_state_field *field = &mv_arm64.state->fields[i];
        uint64_t all = UINT64_MAX >> (64 - 8 * mv_state_type_size(field->type));
        for (size_t n = 0; n < field->count; n++) {
            bad = good;
            if (field->is_same)
                mv_state_set(field, &bad, n, mv_state_get(field, &bad, n) ^ 1);
            else if (field->type != MV_STATE_BOOL && field->max < all)
                mv_state_set(field, &bad, n, field->max + 1);
            else if (field->type != MV_STATE_BOOL && (field->mask & all) != all)
                mv_state_set(field, &bad, n, mv_state_get(field, &bad, n) | (all & ~field->mask));
            else
                continue;
            tried++;
            expect_refusal(&bad, field->name);
        }
    }
    assert_true(tried >= 20);
}

static void test_contradictions(void **state)
{
    struct mv_arm64_state good, bad;
    get(0, &good);
    bad = good;
    bad.pstate = MV_SPSR_SP;
    expect_refusal(&bad, "pstate");
    bad = good;
    bad.sys.sctlr = 0;
    expect_refusal(&bad, "sctlr_el1");
    bad = good;
    bad.sys.oslsr = MV_OSLSR_OSLK;
    expect_refusal(&bad, "oslsr_el1");
    bad = good;
    bad.monitor.size = 3;
    expect_refusal(&bad, "monitor.size");
    bad = good;
    bad.monitor.armed = true;
    expect_refusal(&bad, "monitor.size");
    bad.monitor.size = 8;
    bad.monitor.pa = 4;
    expect_refusal(&bad, "monitor.address");
}

/* --- time */

static void test_timers(void **state)
{
    struct mv_arm64_state s;
    mv_emulator_ops.clock_set(engine, 1600000);
    assert_int_equal(mv_emulator_ops.clock_ns(engine), 1600000);
    get(0, &s);
    s.virtual_timer = (struct mv_arm64_timer){MV_TIMER_CTL_ENABLE, 100000};
    s.physical_timer = (struct mv_arm64_timer){MV_TIMER_CTL_ENABLE, 100001};
    assert_int_equal(set(0, &s), 0);
    assert_true(lines[0][PPI_VIRTUAL]); /* 100000 ticks of 16 ns have gone */
    assert_false(lines[0][PPI_PHYSICAL] || lines[1][PPI_VIRTUAL]);
    /* The virtual counter stays behind by its offset. */
    s.cntvoff = 1;
    assert_int_equal(set(0, &s), 0);
    assert_false(lines[0][PPI_VIRTUAL]);
    assert_int_equal(mv_counter_read(mv_cpu_of(vcpus[0]), MV_TIMER_VIRTUAL), 99999);
    assert_int_equal(mv_counter_read(mv_cpu_of(vcpus[0]), MV_TIMER_PHYSICAL), 100000);
    mv_emulator_ops.clock_set(engine, 1600016);
    assert_true(lines[0][PPI_VIRTUAL] && lines[0][PPI_PHYSICAL]);
    /* Guest time that is set back takes them down. */
    mv_emulator_ops.clock_set(engine, 16);
    assert_false(lines[0][PPI_VIRTUAL] || lines[0][PPI_PHYSICAL]);
    s.virtual_timer.ctl |= MV_TIMER_CTL_IMASK;
    s.cntvoff = UINT64_MAX; /* the virtual one is a tick before it */
    s.virtual_timer.cval = 1;
    assert_int_equal(set(0, &s), 0);
    assert_false(lines[0][PPI_VIRTUAL]);
    s.virtual_timer.ctl = MV_TIMER_CTL_ENABLE;
    assert_int_equal(set(0, &s), 0);
    assert_true(lines[0][PPI_VIRTUAL]);
}

/* --- a guest */

#define BUFFER  0x80100000
#define COUNTER 0x80180000
#define SLOTS   0x10000

/*
 * A random sequence goes through general, vector and system registers, memory
 * and the stack into a buffer, and an exclusive counts it, until x28 says that
 * it is enough.
 */
static const uint32_t program[] = {
    0xd2a00601, /* mov x1, #0x300000 */
    0xd5181041, /* msr cpacr_el1, x1 */
    0xd5033fdf, /* isb */
    0xd2b00214, /* mov x20, #0x80100000 */
    0xd2b0031a, /* mov x26, #0x80180000 */
    0x9120035f, /* add sp, x26, #0x800 */
    0xd2800015, /* mov x21, #0x0 */
    0xd2800036, /* mov x22, #0x1 */
    0xd280001c, /* mov x28, #0x0 */
    0xca1636d6, /* eor x22, x22, x22, lsl #13 */
    0xca561ed6, /* eor x22, x22, x22, lsr #7 */
    0xca1646d6, /* eor x22, x22, x22, lsl #17 */
    0x9eaf02c3, /* fmov v3.d[1], x22 */
    0x4ea31c67, /* mov v7.16b, v3.16b */
    0x9eae00f7, /* fmov x23, v7.d[1] */
    0xd51bd057, /* msr tpidr_el0, x23 */
    0xd53bd058, /* mrs x24, tpidr_el0 */
    0xf81f0ff8, /* str x24, [sp, #-16]! */
    0xf84107f8, /* ldr x24, [sp], #16 */
    0xd5184118, /* msr sp_el0, x24 */
    0xd5384118, /* mrs x24, sp_el0 */
    0xc85f7f59, /* ldxr x25, [x26] */
    0x91000739, /* add x25, x25, #0x1 */
    0xc81b7f59, /* stxr w27, x25, [x26] */
    0x35ffffbb, /* cbnz w27, 54 */
    0x92403ebd, /* and x29, x21, #0xffff */
    0xf83d7a98, /* str x24, [x20, x29, lsl #3] */
    0xb10006b5, /* adds x21, x21, #0x1 */
    0x54fffda0, /* b.eq 24 */
    0xb4fffd9c, /* cbz x28, 24 */
    0xf9000755, /* str x21, [x26, #8] */
    0xd2b08000, /* mov x0, #0x84000000 */
    0xf2800100, /* movk x0, #0x8 */
    0xd4000002, /* hvc #0x0 */
};

static uint64_t read_guest(struct mv_machine *machine, uint64_t gpa)
{
    uint64_t value;
    assert_int_equal(mv_space_read(mv_machine_space(machine), gpa, &value, sizeof value), 0);
    return value;
}

/* What is put in between: another state altogether, and the translations of another one. */
static void disturb(struct mv_vcpu *vcpu, const struct mv_arm64_state *kept)
{
    struct mv_arm64_state junk = *kept, have;
    fill(&junk);
    if (vcpu->ops->vcpu_set_state(vcpu, &junk, &err) != 0)
        fail_msg("%s", err.text);
    vcpu->ops->vcpu_get_state(vcpu, &have);
    expect_same(&junk, &have);
    if (pick() % 2)
        vcpu->ops->vcpu_reset(vcpu);
}

static void run_and_disturb(struct mv_machine *machine, unsigned rounds)
{
    struct mv_vcpu *vcpu = mv_machine_vcpu(machine, 0);
    struct mv_arm64_state kept;
    uint64_t before = 0;
    for (unsigned i = 0; i < rounds; i++) {
        mv_machine_resume(machine);
        do {
            sched_yield();
        } while (read_guest(machine, COUNTER) < before + 10);
        mv_machine_pause(machine);
        before = read_guest(machine, COUNTER);
        vcpu->ops->vcpu_get_state(vcpu, &kept);
        disturb(vcpu, &kept);
        kept.x[28] = i + 1 == rounds;
        assert_int_equal(vcpu->ops->vcpu_set_state(vcpu, &kept, &err), 0);
    }
}

static void check_sequence(struct mv_machine *machine)
{
    uint64_t count = read_guest(machine, COUNTER + 8), value = 1;
    assert_int_equal(read_guest(machine, COUNTER), count);
    for (uint64_t i = 0; i < count; i++) {
        value ^= value << 13;
        value ^= value >> 7;
        value ^= value << 17;
        if (i + SLOTS >= count && read_guest(machine, BUFFER + 8 * (i % SLOTS)) != value)
            fail_msg("of %llu values number %llu is wrong", (unsigned long long)count,
                     (unsigned long long)i);
    }
}

/* A machine that stands at the start of a program; the rest of its words are its banks. */
static struct mv_machine *machine_of(const uint32_t *words, size_t size, const char *bank,
                                     const char *second_bank)
{
    char path[64];
    struct mv_config config = {0};
    struct mv_machine *machine = NULL;
    fake_file(path, words, size);
    char *const argv[] = {"--firmware", path, "--engine", "emulator",
                          "-m", (char *)(uintptr_t)bank, "-m", (char *)(uintptr_t)second_bank};
    assert_int_equal(mv_config_parse_run(second_bank == NULL ? 6 : 8, argv, &config, &err), 0);
    assert_int_equal(mv_loop_create(&loop, &err), 0);
    if (mv_machine_create(&config, loop, NULL, &machine, &err) != 0 ||
        mv_machine_start(machine, true, &err) != 0)
        fail_msg("%s", err.text);
    mv_config_free(&config);
    unlink(path);
    return machine;
}

static void test_a_guest_goes_on(void **state)
{
    struct mv_machine *machine = machine_of(program, sizeof program, "16M", NULL);
    run_and_disturb(machine, 150);
    mv_machine_resume(machine);
    assert_int_equal(mv_machine_wait(machine), MV_MACHINE_POWERED_OFF);
    check_sequence(machine);
    mv_machine_destroy(machine);
    mv_loop_destroy(loop);
}

/* Whether a doubleword of the guest's changes while it runs. */
static bool changes(struct mv_machine *machine, uint64_t gpa, uint64_t other)
{
    uint64_t before = read_guest(machine, gpa), other_before = read_guest(machine, other);
    mv_machine_resume(machine);
    while (read_guest(machine, gpa) == before && read_guest(machine, other) == other_before)
        sched_yield();
    mv_machine_pause(machine);
    return read_guest(machine, gpa) != before && read_guest(machine, other) == other_before;
}

/* What translates is changed from outside: nothing of the old translation is used any more. */
static void test_translation_follows(void **state)
{
    static const uint32_t loop_of_adds[] = {
        0xf9400001, /* ldr x1, [x0] */
        0x91000421, /* add x1, x1, #1 */
        0xf9000001, /* str x1, [x0] */
        0x17fffffd, /* b to the first */
    };
    const uint64_t block = 1 | 1 << 10 | 3 << 8; /* of 1 GiB: accessed, inner shareable */
    const uint64_t tables[2] = {0x80200000, 0x80201000};
    const uint64_t targets[2] = {0x80000000, 0xc0000000};
    struct mv_machine *machine =
        machine_of(loop_of_adds, sizeof loop_of_adds, "16M@0x80000000", "16M@0xc0000000");
    struct mv_vcpu *vcpu = mv_machine_vcpu(machine, 0);
    struct mv_arm64_state s;
    for (unsigned i = 0; i < 2; i++) {
        const uint64_t table[3] = {0, targets[i] | block, 0x80000000 | block};
        assert_int_equal(
            mv_space_write(mv_machine_space(machine), tables[i], table, sizeof table), 0);
    }
    vcpu->ops->vcpu_get_state(vcpu, &s);
    s.x[0] = 0x40180000;
    s.sys.mair = 0xff;
    s.sys.tcr = 25 | 1 << 23 | UINT64_C(2) << 32; /* T0SZ, EPD1, IPS: 40 bits */
    s.sys.sctlr |= 1; /* M */
    for (unsigned round = 0; round < 20; round++) {
        unsigned which = round % 2;
        s.sys.ttbr0 = tables[which];
        assert_int_equal(vcpu->ops->vcpu_set_state(vcpu, &s, &err), 0);
        assert_true(changes(machine, targets[which] + 0x180000, targets[!which] + 0x180000));
        vcpu->ops->vcpu_get_state(vcpu, &s);
        s.pc = 0x80080000;
    }
    mv_machine_destroy(machine);
    mv_loop_destroy(loop);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_system_registers),
        TEST(test_get_set_get),
        TEST(test_save_and_load),
        TEST(test_refusals),
        TEST(test_contradictions),
        TEST(test_timers),
        cmocka_unit_test(test_a_guest_goes_on),
        cmocka_unit_test(test_translation_follows),
    };
    return cmocka_run_group_tests_name("arm64-state", tests, NULL, NULL);
}
