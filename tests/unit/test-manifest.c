/* SPDX-License-Identifier: Apache-2.0 */
/* migration/manifest.c: what is printed is read as the same, and what is wrong is refused by name.
 */
#include "manifest.h"
#include "size.h"
#include "statefile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RAM (16 * MV_MIB)

static struct mv_error err;

static struct mv_manifest_block blocks[] = {
    {.id = "ram0",
     .has_gpa = true,
     .gpa = UINT64_C(0x80000000),
     .size = 4 * MV_MIB,
     .backing = "thp=on",
     .saved = true,
     .offset = 2 * MV_MIB},
    {.id = "shm,\"\\ é",
     .size = MV_MIB,
     .backing = "file=/tmp/a,share=on",
     .outside = true,
     .file = {"/tmp/a", MV_MIB, 0x801, UINT64_MAX}},
    {.id = "boot/cmdline", .size = 13, .backing = "", .saved = true, .offset = 6 * MV_MIB},
    {.id = "scratch", .size = MV_MIB, .backing = "save=off"},
};
static struct mv_manifest_device devices[] = {
    {.path = "uart", .type = "ns16550a", .version = 1},
    {.path = "pci/03.0", .type = "edu", .version = UINT32_MAX, .options = "edu,addr=3.0"},
};
static struct mv_manifest whole = {
    .name = "demo",
    .id = {1, 2, 0xff},
    .saved_at = 1700000000,
    .writer = "memvisor 9.9",
    .machine = "arm64",
    .engine = "emulator",
    .cpus = 2,
    .no_reboot = true,
    .blocks = blocks,
    .block_count = 4,
    .devices = devices,
    .device_count = 2,
    .has_base = true,
    .base_path = "older.state",
    .base_id = {0xab},
};

static char *print(const struct mv_manifest *manifest, size_t *ret_length)
{
    static char *text;
    if (mv_manifest_print(manifest, RAM, &text, ret_length, &err) < 0)
        fail_msg("%s", err.text);
    return text;
}

static void test_there_and_back(void **state)
{
    struct mv_manifest again;
    size_t length, length_again;
    char *text = print(&whole, &length);
    assert_int_equal(length, strlen(text));
    assert_int_equal(mv_manifest_parse(text, length, RAM, &again, &err), 0);
    assert_string_equal(again.name, "demo");
    assert_memory_equal(again.id, whole.id, sizeof whole.id);
    assert_int_equal(again.saved_at, whole.saved_at);
    assert_string_equal(again.writer, whole.writer);
    assert_string_equal(again.machine, "arm64");
    assert_string_equal(again.engine, "emulator");
    assert_int_equal(again.cpus, 2);
    assert_true(!again.firmware && again.no_reboot && !again.reload);
    assert_int_equal(again.block_count, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct mv_manifest_block *a = &again.blocks[i], *b = &blocks[i];
        assert_string_equal(a->id, b->id);
        assert_ptr_equal(mv_manifest_find_block(&again, b->id), a);
        assert_int_equal(a->has_gpa, b->has_gpa);
        assert_int_equal(a->gpa, b->gpa);
        assert_int_equal(a->size, b->size);
        assert_string_equal(a->backing, b->backing);
        assert_int_equal(a->saved, b->saved);
        assert_int_equal(a->offset, b->offset);
        assert_int_equal(a->outside, b->outside);
    }
    assert_null(mv_manifest_find_block(&again, "ram1"));
    assert_string_equal(again.blocks[1].file.path, "/tmp/a");
    assert_int_equal(again.blocks[1].file.size, MV_MIB);
    assert_int_equal(again.blocks[1].file.device, 0x801);
    assert_true(again.blocks[1].file.inode == UINT64_MAX);
    assert_int_equal(again.device_count, 2);
    assert_null(again.devices[0].options);
    assert_string_equal(again.devices[1].path, "pci/03.0");
    assert_string_equal(again.devices[1].type, "edu");
    assert_int_equal(again.devices[1].version, UINT32_MAX);
    assert_string_equal(again.devices[1].options, "edu,addr=3.0");
    assert_true(again.has_base);
    assert_string_equal(again.base_path, "older.state");
    assert_memory_equal(again.base_id, whole.base_id, sizeof whole.base_id);
    char *text_again = print(&again, &length_again);
    assert_string_equal(text_again, text);
    mv_manifest_clear(&again);
    free(text_again);
    free(text);
}

/* No prefix of a text is a text, and none is read beyond its end. */
static void test_cut(void **state)
{
    struct mv_manifest ret;
    size_t length;
    char *text = print(&whole, &length);
    for (size_t cut = 0; cut + 1 < length; cut++) {
        char *copy = malloc(cut + 1);
        memcpy(copy, text, cut);
        assert_int_equal(mv_manifest_parse(copy, cut, RAM, &ret, &err), -EINVAL);
        free(copy);
    }
    free(text);
}

/* The text with another in the first place of `from`. */
static char *replaced(const char *from, const char *to)
{
    size_t length, room = 0;
    char *text = print(&whole, &length), *result = NULL;
    const char *place = strstr(text, from);
    if (place == NULL)
        fail_msg("no '%s' in %s", from, text);
    FILE *out = open_memstream(&result, &room);
    fprintf(out, "%.*s%s%s", (int)(place - text), text, to, place + strlen(from));
    fclose(out);
    free(text);
    return result;
}

/* What is read for what, and a part of what is said of it. */
static const struct {
    const char *from, *to, *says;
} wrong[] = {
    {"{\"name\"", "[{\"name\"", "no JSON"},
    {"\"name\": \"demo\"", "\"nom\": \"demo\"", "'nom' of a manifest is unknown"},
    {"\"name\": \"demo\", ", "", "'name': it is missing"},
    {"\"name\": \"demo\"", "\"name\": \"demo\", \"name\": \"demo\"", "duplicate"},
    {"\"demo\"", "\"\"", "'name': it is empty"},
    {"\"demo\"", "12", "'name': it is no text"},
    {"\"demo\"", "\"de\\u001b[31mmo\"", "'name': it has control characters"},
    {"\"demo\"", "\"de\\u009b31mmo\"", "'name': it has control characters"},
    {"\"demo\"", "\"de\\u0000mo\"", "no JSON"},
    {"\"demo\"", "\"de\xffmo\"", "no JSON"},
    {"\"0102ff", "\"0102fF", "32 hex digits"},
    {"\"0102ff", "\"0102f", "32 hex digits"},
    {"1700000000", "-1", "'saved': it is no number"},
    {"1700000000", "1.5", "'saved': it is no number"},
    {"1700000000", "99999999999999999999", "no JSON"},
    {"\"cpus\": 2", "\"cpus\": 0", "one at least"},
    {"\"cpus\": 2", "\"cpus\": 4294967296", "more than the most"},
    {"\"machine\": {", "\"machine\": 7, \"x\": {", "unknown"},
    {"\"no-reboot\": true", "\"no-reboot\": 1", "'no-reboot': it is no true or false"},
    {"\"kernel\"", "\"disk\"", "neither 'kernel' nor 'firmware'"},
    {"\"kernel\"", "true", "neither 'kernel' nor 'firmware'"},
    {"\"ram0\"", "\"boot/cmdline\"", "block boot/cmdline is there twice"},
    {"\"ram0\"", "\"\"", "block 1 has no id"},
    {"\"0x80000000\"", "2147483648", "'ram0': 'gpa'"},
    {"\"0x80000000\"", "\"80000000\"", "'ram0': 'gpa'"},
    {"\"0x80000000\"", "\"0xfffffffffffff000\"", "too large"},
    {"\"0x80000000\"", "\"0x10000000000000000\"", "'ram0': 'gpa'"},
    {"\"size\": 4194304", "\"size\": 0", "block ram0: it has no bytes"},
    {"\"size\": 4194304", "\"size\": 4194305", "ram0 and boot/cmdline overlap"},
    {"\"size\": 13", "\"size\": 12582913", "block boot/cmdline: its 12582913 bytes"},
    {"\"size\": 13", "\"size\": 9223372036854775807", "outside of RAM"},
    {"\"offset\": 2097152", "\"offset\": 2097153", "block ram0: its place at byte 2097153"},
    {"\"offset\": 2097152", "\"offset\": 0", "outside of RAM"},
    {"\"offset\": 2097152", "\"offset\": 9223372036852678656", "outside of RAM"},
    {"\"offset\": 2097152", "\"offset\": 6291456", "overlap in the file"},
    {"\"file\": {", "\"offset\": 8388608, \"file\": {", "in this file and in another"},
    {"\"path\": \"/tmp/a\"", "\"path\": \"tmp/a\"", "no path from the root on"},
    {"\"blocks\": [", "\"blocks\": [{},", "'blocks': entry 1: 'id': it is missing"},
    {"\"blocks\": [", "\"blocks\": [3,", "entry 1: a block is no object"},
    {"\"devices\": [", "\"devices\": {}, \"x\": [", "unknown"},
    {"\"pci/03.0\"", "\"uart\"", "device uart is there twice"},
    {"\"version\": 1", "\"version\": true", "'uart': 'version'"},
    {"\"writer\": \"memvisor 9.9\"", "\"writer\": \"memvisor 9.9\", \"colour\": 1",
     "written by 'memvisor 9.9': 'colour'"},
};

static void test_wrong(void **state)
{
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct mv_manifest ret;
        char *text = replaced(wrong[i].from, wrong[i].to);
        int r = mv_manifest_parse(text, strlen(text), RAM, &ret, &err);
        if (r != -EINVAL || strstr(err.text, wrong[i].says) == NULL ||
            strncmp(err.text, "manifest: ", 10) != 0)
            fail_msg("'%s' for '%s': %d, %s", wrong[i].to, wrong[i].from, r, r < 0 ? err.text : "");
        free(text);
    }
}

/* Memory for values is bounded before any is read, and nothing is so deep that it ends us. */
static void test_too_many(void **state)
{
    struct mv_manifest ret;
    size_t length = MV_STATEFILE_MANIFEST_MAX;
    char *text = malloc(length);
    for (size_t i = 0; i < length; i++)
        text[i] = "{},"[i % 3];
    text[0] = '[';
    assert_int_equal(mv_manifest_parse(text, length, RAM, &ret, &err), -E2BIG);
    memset(text, '[', length);
    assert_int_equal(mv_manifest_parse(text, 200000, RAM, &ret, &err), -EINVAL);
    free(text);
    struct mv_manifest many = whole;
    many.block_count = MV_MANIFEST_LIST_MAX + 1;
    many.blocks = calloc(many.block_count, sizeof *many.blocks);
    for (size_t i = 0; i < many.block_count; i++)
        many.blocks[i] = (struct mv_manifest_block){.id = "a", .size = 1, .backing = ""};
    assert_int_equal(mv_manifest_print(&many, RAM, &text, &length, &err), -EINVAL);
    assert_non_null(strstr(err.text, "16385 entries"));
    free(many.blocks);
}

static void test_unprintable(void **state)
{
    struct mv_manifest odd = whole;
    char *text;
    size_t length;
    odd.name = "a\nb";
    assert_int_equal(mv_manifest_print(&odd, RAM, &text, &length, &err), -EINVAL);
    odd.name = "\xff";
    assert_int_equal(mv_manifest_print(&odd, RAM, &text, &length, &err), -EINVAL);
    assert_int_equal(mv_manifest_print(&whole, 2 * MV_MIB, &text, &length, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_wrong),          cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_unprintable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
