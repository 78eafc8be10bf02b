/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus/state.c: the byte form, what is refused and by which name, that a refusal
 * changes nothing, and the hooks with their locks.
 */
#include "state-limits.h"

struct entry {
    uint32_t data;
    uint16_t flags;
};

struct sample {
    bool on;
    pthread_mutex_t lock;
    uint8_t mode;
    uint16_t place;
    uint32_t bits;
    uint64_t big;
    uint16_t list[3];
    struct entry entries[2];
    uint32_t machine;
    uint32_t forbidden; /* by the check */
    unsigned loaded, checked;
};

static const struct mv_state_field fields[] = {
    MV_STATE_FLAG("on", struct sample, on),
    MV_STATE_RANGE("mode", struct sample, mode, MV_STATE_U8, 2, 7),
    MV_STATE_RANGE("place", struct sample, place, MV_STATE_U16, 0, 1000),
    MV_STATE_BITS("bits", struct sample, bits, MV_STATE_U32, 0x80000001),
    MV_STATE_ANY("big", struct sample, big, MV_STATE_U64),
    MV_STATE_BITS("list", struct sample, list, MV_STATE_U16, 0xff0f),
    MV_STATE_EACH("entry-data", struct sample, entries, data, MV_STATE_U32, 0xfffffffc),
    MV_STATE_EACH("entry-flags", struct sample, entries, flags, MV_STATE_U16, 1),
    MV_STATE_SAME("machine", struct sample, machine, MV_STATE_U32),
};

static pthread_mutex_t outer = PTHREAD_MUTEX_INITIALIZER;

static pthread_mutex_t *sample_lock(void *object)
{
    return &outer;
}

static struct sample *living; /* whose lock the hooks look at */

static bool is_locked(pthread_mutex_t *lock)
{
    if (pthread_mutex_trylock(lock) == EBUSY)
        return true;
    pthread_mutex_unlock(lock);
    return false;
}

static int sample_check(const void *object, struct mv_error *err)
{
    const struct sample *s = object;
    assert_ptr_not_equal(s, living); /* a copy */
    assert_true(is_locked(&living->lock) && is_locked(&outer));
    living->checked++;
    if (s->forbidden != 0 && s->bits == s->forbidden)
        return mv_state_refuse(err, "bits", "0x%x is forbidden", s->bits);
    return 0;
}

static void sample_loaded(void *object)
{
    struct sample *s = object;
    assert_false(is_locked(&s->lock) || is_locked(&outer));
    s->loaded++;
}

static const struct mv_state_table table =
    MV_STATE_TABLE(struct sample, "sample", 3, fields, .mutex = offsetof(struct sample, lock),
                   .lock = sample_lock, .check = sample_check, .loaded = sample_loaded);

/* Without hooks, which count in the object. */
static const struct mv_state_table plain = MV_STATE_TABLE(struct sample, "sample", 3, fields);

static struct sample make_sample(void)
{
    return (struct sample){
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .on = true,
        .mode = 5,
        .place = 0x0102,
        .bits = 0x80000000,
        .big = UINT64_C(0x1122334455667788),
        .list = {0xff00, 0x000f, 0},
        .entries = {{.data = 0xdeadbeec, .flags = 1}, {.data = 4}},
        .machine = 0x42,
    };
}

static struct mv_error err;

/* The form that a file will have: nothing may change it. */
static void test_byte_form(void **state)
{
    static const uint8_t expected[] =
        "\2on\0\1\0\0\0\1"
        "\4mode\1\1\0\0\0\5"
        "\5place\2\1\0\0\0\2\1"
        "\4bits\3\1\0\0\0\0\0\0\x80"
        "\3big\4\1\0\0\0\x88\x77\x66\x55\x44\x33\x22\x11"
        "\4list\2\3\0\0\0\0\xff\x0f\0\0\0"
        "\12entry-data\3\2\0\0\0\xec\xbe\xad\xde\4\0\0\0"
        "\13entry-flags\2\2\0\0\0\1\0\0\0"
        "\7machine\3\1\0\0\0\x42\0\0";
    struct sample s = make_sample();
    uint8_t *bytes = limits_save(&table, &s);
    assert_int_equal(mv_state_size(&table), sizeof expected);
    assert_memory_equal(bytes, expected, sizeof expected);
    free(bytes);
}

static void test_round_trip(void **state)
{
    struct sample s = make_sample(), t = make_sample();
    uint8_t *bytes = limits_save(&table, &s);
    t.on = false;
    t.mode = 2;
    t.place = t.bits = t.big = 0;
    memset(t.list, 0, sizeof t.list);
    memset(t.entries, 0, sizeof t.entries);
    living = &t;
    limits_load(&table, &t, bytes);
    assert_int_equal(t.loaded, 1);
    assert_int_equal(t.checked, 1);
    t.loaded = t.checked = 0;
    assert_memory_equal(&s, &t, sizeof s);
    free(bytes);
}

static void test_limits(void **state)
{
    struct sample s = make_sample();
    limits_walk(&plain, &s);
    assert_int_equal(mv_state_check(&plain, &s, "p", &err), 0);
    s.list[1] = 0x10;
    assert_int_equal(mv_state_check(&plain, &s, "p", &err), -EINVAL);
    assert_string_equal(err.text,
                        "p/list[1]: 0x10 has bits that are never set: 0xff0f are legal");
}

/* Load bytes that are not to be taken; the object is as before. */
static void refuse(struct sample *s, const uint8_t *bytes, size_t len, const char *text)
{
    struct sample before = *s;
    /* As long as it is, for the sanitizer. */
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    assert_int_equal(mv_state_load(&table, s, "pci/03.0", copy, len, &err), -EINVAL);
    if (text != NULL)
        assert_string_equal(err.text, text);
    assert_memory_equal(err.text, "pci/03.0/", 9);
    s->checked = before.checked;
    assert_memory_equal(s, &before, sizeof before);
    free(copy);
}

static void test_refused(void **state)
{
    struct sample s = make_sample();
    uint8_t *good = limits_save(&table, &s), bytes[256];
    size_t size = mv_state_size(&table);
    living = &s;
    s.mode = 3; /* which a refusal must not change */

    for (size_t len = 0; len < size; len++)
        refuse(&s, good, len, NULL);
    refuse(&s, good, 8, "pci/03.0/on: the state ends in the middle of this field");
    refuse(&s, good, 9, "pci/03.0/mode: the state lacks this field");

    memcpy(bytes, good, size);
    memcpy(bytes + size, good, 9);
    refuse(&s, bytes, size + 9, "pci/03.0/on: the state has this field twice");
    bytes[size] = 0;
    refuse(&s, bytes, size + 9, "pci/03.0/: a sample of version 3 has no such field");
    bytes[1] = 'i';
    refuse(&s, bytes, size, "pci/03.0/in: a sample of version 3 has no such field");
    bytes[1] = 0x1b;
    bytes[2] = 0;
    refuse(&s, bytes, size, "pci/03.0/?\?: a sample of version 3 has no such field");
    memcpy(bytes, good, size);
    bytes[3] = 1;
    refuse(&s, bytes, size, "pci/03.0/on: type 1 is not the field's, which is 0");
    bytes[3] = 0xff;
    refuse(&s, bytes, size, "pci/03.0/on: type 255 is not the field's, which is 0");
    bytes[3] = 0;
    bytes[7] = 0x80;
    refuse(&s, bytes, size, "pci/03.0/on: 2147483649 values, and the field has 1");
    bytes[7] = 0;
    bytes[8] = 2;
    refuse(&s, bytes, size, "pci/03.0/on: 2 cannot be: 0 to 1 are legal");
    memcpy(bytes, good, size);
    bytes[size - 4] = 0x43;
    refuse(&s, bytes, size, "pci/03.0/machine: the state has 0x43, and this machine 0x42");
    memcpy(bytes, good, size);
    s.forbidden = s.bits;
    refuse(&s, good, size, "pci/03.0/bits: 0x80000000 is forbidden");
    assert_int_equal(s.loaded, 0);
    s.forbidden = 0;
    limits_load(&table, &s, good);
    assert_int_equal(s.mode, 5);
    free(good);
}

/* Fields may come in any order. */
static void test_order(void **state)
{
    struct sample s = make_sample();
    uint8_t *good = limits_save(&table, &s), bytes[256];
    size_t size = mv_state_size(&table);
    memcpy(bytes, good + 9, size - 9);
    memcpy(bytes + size - 9, good, 9);
    living = &s;
    s.on = false;
    limits_load(&table, &s, bytes);
    assert_true(s.on);
    free(good);
}

/* Whatever a file says: it is taken or refused, and then nothing has changed. */
static void test_noise(void **state)
{
    struct sample s = make_sample();
    uint8_t *good = limits_save(&table, &s), *bytes = malloc(mv_state_size(&table));
    size_t size = mv_state_size(&table);
    unsigned taken = 0;
    living = &s;
    srand(13);
    for (unsigned i = 0; i < 20000; i++) {
        memcpy(bytes, good, size);
        for (unsigned n = (unsigned)rand() % 4; n-- > 0;)
            bytes[(unsigned)rand() % size] = (uint8_t)rand();
        struct sample before = s;
        if (mv_state_load(&table, &s, "p", bytes, size - (i % 8 == 0), &err) == 0) {
            taken++;
            assert_int_equal(mv_state_check(&plain, &s, "p", &err), 0);
        } else {
            s.checked = before.checked;
            assert_memory_equal(&s, &before, sizeof s);
        }
    }
    assert_in_range(taken, 1000, 19000);
    free(good);
    free(bytes);
}

static void test_types(void **state)
{
    assert_int_equal(mv_state_type_size(MV_STATE_BOOL), sizeof(bool));
    assert_int_equal(mv_state_type_size(MV_STATE_U8), 1);
    assert_int_equal(mv_state_type_size(MV_STATE_U16), 2);
    assert_int_equal(mv_state_type_size(MV_STATE_U32), 4);
    assert_int_equal(mv_state_type_size(MV_STATE_U64), 8);
    assert_int_equal(mv_state_type_size((enum mv_state_type)99), 0);
    assert_int_equal(fields[5].count, 3);
    assert_int_equal(fields[6].count, 2);
    assert_int_equal(fields[6].stride, sizeof(struct entry));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_byte_form), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_limits),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_order),     cmocka_unit_test(test_noise),
        cmocka_unit_test(test_types),
    };
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
