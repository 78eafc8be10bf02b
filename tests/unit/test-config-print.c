/* SPDX-License-Identifier: Apache-2.0 */
/* config/print-text.c: what is printed reads as what it was printed from, each key alone and
 * with each other. */
#include "config-text.h"
#include "config.h"
#include "size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct mv_error err;

static void same_text(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        assert_ptr_equal(a, b);
    else
        assert_string_equal(a, b);
}

static void same_backing(const struct mv_config_backing *a, const struct mv_config_backing *b)
{
    struct mv_config_backing x = *a, y = *b;
    same_text(a->file, b->file);
    same_text(a->nbd, b->nbd);
    same_text(a->policy, b->policy);
    same_text(a->host_nodes, b->host_nodes);
    x.nbd = y.nbd = NULL;
    x.file = x.policy = x.host_nodes = y.file = y.policy = y.host_nodes = NULL;
    assert_memory_equal(&x, &y, sizeof x);
}

static void same_bank(const struct mv_config_bank *a, const struct mv_config_bank *b)
{
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->has_gpa, b->has_gpa);
    assert_int_equal(a->gpa, b->gpa);
    same_text(a->id, b->id);
    same_backing(&a->backing, &b->backing);
}

static void same_device(const struct mv_config_device *a, const struct mv_config_device *b)
{
    same_text(a->type, b->type);
    same_text(a->id, b->id);
    same_text(a->bus, b->bus);
    same_text(a->mem_id, b->mem_id);
    same_text(a->socket, b->socket);
    assert_int_equal(a->slot, b->slot);
    assert_int_equal(a->slot_number, b->slot_number);
    assert_int_equal(a->chassis, b->chassis);
    assert_int_equal(a->dma_mask, b->dma_mask);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->vectors, b->vectors);
    assert_int_equal(a->ext, b->ext);
    same_backing(&a->backing, &b->backing);
}

/* --- there and back; false where the parser refuses the text in the first place */

static bool bank_returns(const char *text)
{
    struct mv_config_bank bank, again;
    struct mv_config_backing backing;
    char *printed, *keys;
    if (mv_config_parse_bank(text, &bank, &err) < 0)
        return false;
    if (mv_config_print_bank(&bank, &printed, &err) < 0 ||
        mv_config_parse_bank(printed, &again, &err) < 0)
        fail_msg("'%s': %s", text, err.text);
    same_bank(&bank, &again);
    assert_int_equal(mv_config_print_backing(&bank.backing, &keys, &err), 0);
    assert_int_equal(mv_config_parse_backing(keys, &backing, &err), 0);
    same_backing(&bank.backing, &backing);
    mv_backing_clear(&backing);
    mv_config_bank_clear(&bank);
    mv_config_bank_clear(&again);
    free(printed);
    free(keys);
    return true;
}

static bool back_returns(const char *text)
{
    struct mv_config_back back, again;
    char *printed;
    if (mv_config_parse_back(text, &back, &err) < 0)
        return false;
    if (mv_config_print_back(&back, &printed, &err) < 0 ||
        mv_config_parse_back(printed, &again, &err) < 0)
        fail_msg("'%s': %s", text, err.text);
    same_text(back.id, again.id);
    same_backing(&back.backing, &again.backing);
    mv_config_back_clear(&back);
    mv_config_back_clear(&again);
    free(printed);
    return true;
}

static bool device_returns(const char *text,
                           int (*parse)(const char *text, struct mv_config_device *ret,
                                        struct mv_error *err))
{
    struct mv_config_device device, again;
    char *printed;
    if (parse(text, &device, &err) < 0)
        return false;
    if (mv_config_print_device(&device, &printed, &err) < 0 ||
        mv_config_parse_device_add(printed, &again, &err) < 0)
        fail_msg("'%s': %s", text, err.text);
    same_device(&device, &again);
    mv_config_device_clear(&device);
    mv_config_device_clear(&again);
    free(printed);
    return true;
}

/* --- a key alone, and all that go together */

static const char *const values[] = {"file=a",
                                     "file=,,",
                                     "file= a=b\t\"'\\\xc3\xa9,,,,c",
                                     "offset=4K",
                                     "offset=17",
                                     "share=on",
                                     "share=off",
                                     "create=on",
                                     "create=off",
                                     "same-file=ok",
                                     "memfd=on",
                                     "memfd=off",
                                     "fd=0",
                                     "fd=2147483647",
                                     "nbd=nbd://host/a",
                                     "cache=1G",
                                     "nbd=NBDS+unix:///x,,y?socket=/a=b",
                                     "hugetlb=2M",
                                     "hugetlb=1G",
                                     "thp=on",
                                     "thp=off",
                                     "prealloc=on",
                                     "prealloc=off",
                                     "lock=on",
                                     "lock=off",
                                     "merge=on",
                                     "merge=off",
                                     "dump=on",
                                     "dump=off",
                                     "policy=default",
                                     "policy=bind",
                                     "policy=interleave",
                                     "policy=preferred",
                                     "host-nodes=0",
                                     "host-nodes=0-1,,3",
                                     "save=on",
                                     "save=off"};
#define VALUES (sizeof values / sizeof values[0])

/* A test of each key there is, since one that is new is to be in the list. */
static void test_all_keys_are_tried(void **state)
{
    for (const struct mv_backing_key *k = mv_backing_keys; k->key != NULL; k++) {
        bool is_there = false;
        for (size_t i = 0; i < VALUES; i++)
            is_there |=
                strncmp(values[i], k->key, strlen(k->key)) == 0 && values[i][strlen(k->key)] == '=';
        if (!is_there)
            fail_msg("no value of %s=", k->key);
    }
}

static void test_backings(void **state)
{
    size_t banks = 0, backs = 0;
    for (size_t i = 0; i < VALUES; i++) {
        for (size_t j = 0; j < VALUES; j++) {
            char text[256];
            for (size_t k = j; k < VALUES; k++) {
                snprintf(text, sizeof text, "3M,%s,%s,%s", values[i], values[j], values[k]);
                banks += bank_returns(text);
            }
            snprintf(text, sizeof text, "ram0=x,%s,%s", values[i], values[j]);
            backs += back_returns(text);
        }
        char text[256];
        snprintf(text, sizeof text, "3M,%s", values[i]);
        banks += bank_returns(text);
        snprintf(text, sizeof text, "pci/03.0/bar2=,,y=,,,,,%s", values[i]);
        backs += back_returns(text);
    }
    assert_true(banks > 6600 && backs > 500);
}

static void test_banks(void **state)
{
    static const char *const good[] = {
        "1", "1K", "1025K@0x1001", "16T@2G,id=a", "16383P@0x0", "1G@0xfffffffffffff000,id=\xc3\xa9",
        "2G"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(bank_returns(good[i]));
}

static void test_devices(void **state)
{
    static const char *const places[] = {"",           ",addr=03.0", ",addr=1f",
                                         ",bus=a,,=b", ",id=a.b",    ",addr=0,bus=rp,id=x"};
    static const char *const kinds[] = {"edu",
                                        "edu,dma_mask=0xffffffffffffffff",
                                        "edu,dma_mask=0",
                                        "pcie-root-port",
                                        "pcie-root-port,slot=0",
                                        "pcie-root-port,slot=8191,chassis=255",
                                        "other",
                                        "ivshmem-plain,mem=a,,b,size=1M",
                                        "ivshmem-plain,mem-id=pci/03.0/bar2",
                                        "ivshmem-doorbell,socket=,,a=",
                                        "ivshmem-doorbell,socket=a,vectors=2048,size=4K,ext=on",
                                        "ivshmem-2009,socket=a,size=1G",
                                        "ivshmem-doorbell,socket=a,model=2009",
                                        "ivshmem-doorbell,socket=a,model=1,ext=off"};
    static const char *const options[] = {
        "s",           "a/s=1,vectors=2",  "64,unix:a", "s,model=2009", "mem=f,size=1M",
        "mem-id=ram1", "s,size=16M,ext=on"};
    char text[256];
    for (size_t p = 0; p < sizeof places / sizeof places[0]; p++) {
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
            snprintf(text, sizeof text, "%s%s", kinds[i], places[p]);
            if (!device_returns(text, mv_config_parse_device_add))
                fail_msg("%s: %s", text, err.text);
        }
        for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
            snprintf(text, sizeof text, "%s%s", options[i], places[p]);
            assert_true(device_returns(text, mv_config_parse_ivshmem));
        }
        for (size_t i = 0; i < VALUES; i++) {
            snprintf(text, sizeof text, "ivshmem-plain,mem=f,size=1M,%s%s", values[i], places[p]);
            device_returns(text, mv_config_parse_device_add);
        }
    }
}

/* What code has set and nobody gave is written, too. */
static void test_set_by_code(void **state)
{
    struct mv_config_back back = {.id = (char[]){"ram0"},
                                  .backing = {.file = (char[]){"a,b"}, .share = MV_SWITCH_ON}};
    struct mv_config_bank bank = {
        .size = MV_GIB, .has_gpa = true, .gpa = MV_GIB, .backing = {.create = true}};
    char *text;
    bank.backing.file = back.backing.file;
    assert_int_equal(mv_config_print_back(&back, &text, &err), 0);
    assert_string_equal(text, "ram0=a,,b,share=on");
    free(text);
    assert_int_equal(mv_config_print_bank(&bank, &text, &err), 0);
    assert_string_equal(text, "1G@0x40000000,file=a,,b,create=on");
    free(text);
    assert_int_equal(mv_config_print_backing(&(struct mv_config_backing){0}, &text, &err), 0);
    assert_string_equal(text, "");
    free(text);
}

#define assert_unwritable(call, part)                                                              \
    do {                                                                                           \
        assert_int_equal(call, -EINVAL);                                                           \
        if (strstr(err.text, "cannot be written as options") == NULL ||                            \
            strstr(err.text, part) == NULL)                                                        \
            fail_msg("%s", err.text);                                                              \
    } while (0)

static void test_unwritable(void **state)
{
    char empty[] = "", odd[] = "a=b", comma[] = "a,b", file[] = "f";
    char *text = empty;
    struct mv_config_bank bank = {.size = 4097};
    assert_unwritable(mv_config_print_bank(&bank, &text, &err), "'4097b' is no size");
    bank = (struct mv_config_bank){.size = MV_MIB, .id = comma};
    assert_unwritable(mv_config_print_bank(&bank, &text, &err), "cannot be a bank's name");
    bank = (struct mv_config_bank){.size = MV_MIB, .backing = {.file = empty}};
    assert_unwritable(mv_config_print_bank(&bank, &text, &err), "file= is empty");
    bank.backing = (struct mv_config_backing){.hugetlb = 4 * MV_MIB};
    assert_unwritable(mv_config_print_bank(&bank, &text, &err), "hugetlb=4M");
    bank.backing = (struct mv_config_backing){.has_fd = true, .fd = -1};
    assert_unwritable(mv_config_print_backing(&bank.backing, &text, &err), "no descriptor");
    struct mv_config_back back = {.backing = {.file = file}};
    assert_unwritable(mv_config_print_back(&back, &text, &err), "--back");
    back.id = odd;
    assert_unwritable(mv_config_print_back(&back, &text, &err), "'='");
    struct mv_config_device device = {.type = (char[]){"ivshmem-plain"}, .size = MV_MIB};
    assert_unwritable(mv_config_print_device(&device, &text, &err), "whose memory");
    device.backing.file = file;
    device.size = 1000;
    assert_unwritable(mv_config_print_device(&device, &text, &err), "'1000b' is no size");
    assert_ptr_equal(text, empty);
}

static void test_backing_refusals(void **state)
{
    static const struct {
        const char *text, *part;
    } bad[] = {{",", "no key ''"},         {"id=x", "no key 'id'"},    {"share=on,", "no key ''"},
               {"share", "needs a value"}, {"file=a,fd=3", "exclude"}, {"sahre=on", "share=?"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mv_config_backing backing;
        assert_int_equal(mv_config_parse_backing(bad[i].text, &backing, &err), -EINVAL);
        if (strstr(err.text, bad[i].part) == NULL)
            fail_msg("'%s': %s", bad[i].text, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_keys_are_tried),
        cmocka_unit_test(test_backings),
        cmocka_unit_test(test_banks),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_set_by_code),
        cmocka_unit_test(test_unwritable),
        cmocka_unit_test(test_backing_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
