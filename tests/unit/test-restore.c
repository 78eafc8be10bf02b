/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migration/restore.c and restore-config.c: what a state file says, be it hostile, comes to
 * a configuration or is refused by name, before anything is made.
 */
#include "restore.h"

#include "manifest.h"
#include "size.h"
#include "statefile.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define RAM       (64 * MV_MIB)
#define CMDLINE   0
#define RAM0      1
#define RAM1      2
#define BLOCK_MAX 4

static struct mv_error err;
static char path[64];
static struct mv_manifest manifest;
static struct mv_manifest_block blocks[BLOCK_MAX];
static struct mv_manifest_device devices[2];
static struct mv_restore *restore;

static int setup(void **state)
{
    const struct mv_manifest_block all[] = {
        [CMDLINE] =
            {.id = "boot/cmdline", .size = 8, .backing = "", .saved = true, .offset = 2 * MV_MIB},
        [RAM0] = {.id = "ram0",
                  .has_gpa = true,
                  .gpa = 2 * MV_GIB,
                  .size = 4 * MV_MIB,
                  .backing = "thp=off",
                  .saved = true,
                  .offset = 4 * MV_MIB},
        [RAM1] = {.id = "high",
                  .has_gpa = true,
                  .gpa = 8 * MV_GIB,
                  .size = 2 * MV_MIB,
                  .backing = "",
                  .saved = true,
                  .offset = 8 * MV_MIB},
    };
    memcpy(blocks, all, sizeof all);
    devices[0] = (struct mv_manifest_device){.path = "uart", .type = "ns16550a", .version = 1};
    devices[1] = (struct mv_manifest_device){
        .path = "pci/03.0", .type = "edu", .version = 1, .options = "edu,addr=03.0"};
    manifest = (struct mv_manifest){.name = "vm",
                                    .writer = "memvisor 9.9",
                                    .machine = "arm64",
                                    .engine = "emulator",
                                    .cpus = 2,
                                    .no_reboot = true,
                                    .blocks = blocks,
                                    .block_count = sizeof all / sizeof all[0],
                                    .devices = devices,
                                    .device_count = 2};
    restore = NULL;
    strcpy(path, "/tmp/memvisor-restore-XXXXXX");
    int fd = mkstemp(path);
    close(fd);
    return fd < 0;
}

static int teardown(void **state)
{
    mv_restore_end(restore);
    unlink(path);
    return 0;
}

static void write_state(const char *cmdline, size_t len)
{
    struct mv_statefile_writer writer;
    char *text;
    size_t length;
    int fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
    assert_int_equal(pwrite(fd, cmdline, len, 2 * MV_MIB), len);
    if (mv_manifest_print(&manifest, RAM, &text, &length, &err) < 0 ||
        mv_statefile_begin(&writer, fd, manifest.id, RAM, text, length, &err) < 0 ||
        mv_statefile_end(&writer, &err) < 0)
        fail_msg("%s", err.text);
    free(text);
    close(fd);
}

static int try_open(const char *line)
{
    struct mv_config_restore wish;
    char *copy = strdup(line), *rest = copy, *argv[16];
    int argc = 0;
    argv[argc++] = path;
    while (line[0] != '\0' && rest != NULL)
        argv[argc++] = strsep(&rest, "|");
    if (mv_config_parse_restore(argc, argv, &wish, &err) != 0)
        fail_msg("%s", err.text);
    int r = mv_restore_open(&wish, 0, &restore, &err);
    mv_config_restore_free(&wish);
    free(copy);
    return r;
}

static const struct mv_config *open_state(const char *line)
{
    write_state("a b c=d!", 8);
    if (try_open(line) < 0)
        fail_msg("%s", err.text);
    return mv_restore_config(restore);
}

static void refuse(const char *line, int errnum, const char *word)
{
    write_state("a b c=d!", 8);
    assert_int_equal(try_open(line), -errnum);
    assert_null(restore);
    if (strstr(err.text, word) == NULL || strstr(err.text, path) == NULL)
        fail_msg("no '%s' in: %s", word, err.text);
}

static void test_all_from_the_state(void **state)
{
    const struct mv_config *config = open_state("");
    assert_string_equal(config->machine, "arm64");
    assert_string_equal(config->engine, "emulator");
    assert_string_equal(config->cmdline, "a b c=d!");
    assert_int_equal(config->cpus, 2);
    assert_true(config->no_reboot);
    assert_false(config->reload);
    assert_null(config->kernel);
    assert_null(config->name);
    assert_int_equal(config->bank_count, 2);
    assert_string_equal(config->banks[1].id, "high");
    assert_int_equal(config->banks[1].gpa, 8 * MV_GIB);
    assert_int_equal(config->banks[0].backing.thp, MV_SWITCH_OFF);
    assert_int_equal(config->device_count, 1);
    assert_string_equal(config->devices[0].type, "edu");
    assert_int_equal(config->devices[0].slot, 3);
}

static void test_what_is_given_counts(void **state)
{
    const struct mv_config *config =
        open_state("-m|2M@8G,id=high,memfd=on|-m|4M@2G,id=ram0|--device|edu|--device|edu,id=x|-a|x|"
                   "--engine|auto|-n|name");
    assert_string_equal(config->engine, "auto");
    assert_string_equal(config->cmdline, "x");
    assert_string_equal(config->name, "name");
    assert_true(config->banks[0].backing.memfd);
    assert_int_equal(config->device_count, 2);
}

/* A place that --back gives takes that of the bank's. */
static void test_back_replaces_a_place(void **state)
{
    blocks[RAM1].backing = "file=/nonexistent/a,offset=0x1000,same-file=ok,thp=on";
    const struct mv_config *config = open_state("--back|high=/nonexistent/b,share=off");
    assert_null(config->banks[1].backing.file);
    assert_false(config->banks[1].backing.has_offset);
    assert_int_equal(config->banks[1].backing.thp, MV_SWITCH_ON);
}

static void test_no_command_line(void **state)
{
    manifest.blocks++;
    manifest.block_count--;
    assert_string_equal(open_state("")->cmdline, "");
}

static void test_files_of_resets(void **state)
{
    blocks[3] = (struct mv_manifest_block){.id = "boot/kernel",
                                           .size = 5,
                                           .backing = "",
                                           .outside = true,
                                           .file = {"/images/kernel", 5, 1, 2}};
    manifest.block_count = 4;
    manifest.reload = true;
    const struct mv_config *config = open_state("");
    assert_true(config->reload);
    assert_string_equal(config->kernel, "/images/kernel");
    assert_null(config->firmware);
    mv_restore_end(restore);
    config = open_state("-k|other|-i|initrd");
    assert_string_equal(config->kernel, "other");
    assert_string_equal(config->initrd, "initrd");
    mv_restore_end(restore);
    restore = NULL;
    refuse("--reload|off", EINVAL, "--reload off");
    manifest.block_count = 3;
    refuse("", EINVAL, "-k FILE");
    manifest.reload = false;
    refuse("-i|initrd", EINVAL, "-i: ");
}

static void test_other_machines(void **state)
{
    refuse("-c|3", EINVAL, "-c 3: the state's guest has 2 CPUs");
    refuse("-m|4M@2G", ENODEV, "block high: the state has 2 MiB at 0x200000000");
    manifest.machine = "pc";
    refuse("--machine|arm64", EINVAL, "'pc'");
    refuse("", ENOENT, "pc");
}

static void test_hostile_machines(void **state)
{
    manifest.cpus = 65;
    refuse("", EINVAL, "65 CPUs");
    manifest.cpus = 4000000000;
    refuse("", EINVAL, "4000000000 CPUs");
    manifest.cpus = 1;
    manifest.has_base = true;
    manifest.base_path = "first.state";
    refuse("", ENOENT, "cannot open 'first.state'");
}

static void test_hostile_banks(void **state)
{
    static const struct {
        const char *backing, *word;
    } cases[] = {
        {"fd=0", "descriptor 0"}, {"fd=0,share=on", "descriptor 0"}, {"memfd=on,file=x", "exclude"},
        {"nonsense", "nonsense"}, {"thp=maybe", "thp=maybe"},        {"id=ram1", "id"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        blocks[RAM1].backing = (char *)(uintptr_t)cases[i].backing;
        refuse("", EINVAL, cases[i].word);
    }
    blocks[RAM1].backing = "";
    blocks[RAM1].gpa = 2 * MV_GIB + MV_MIB;
    refuse("", EEXIST, "overlap");
    blocks[RAM1].gpa = UINT64_MAX - 4 * MV_MIB + 1;
    refuse("", ERANGE, "guest-physical space");
    blocks[RAM1].gpa = 8 * MV_GIB;
    blocks[RAM1].size = 2 * MV_MIB - 1;
    refuse("", EINVAL, "2097151");
    blocks[RAM1].size = 2 * MV_MIB;
    blocks[RAM1].has_gpa = false;
    refuse("", EINVAL, "block high");
    manifest.block_count = 1;
    refuse("", EINVAL, "no bank");
}

static void test_hostile_devices(void **state)
{
    static const char *const cases[] = {"edu,addr=77.0", "edu,nonsense=1", "ivshmem-plain,size=1M",
                                        "ivshmem-doorbell,vectors=2", ","};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        devices[1].options = (char *)(uintptr_t)cases[i];
        refuse("", EINVAL, "pci/03.0");
    }
}

static void test_hostile_command_lines(void **state)
{
    write_state("a\0bcdefg", 8);
    assert_int_equal(try_open(""), -EINVAL);
    assert_non_null(strstr(err.text, "boot/cmdline"));
    write_state("a b c d\0", 8);
    assert_int_equal(try_open(""), -EINVAL);
    blocks[CMDLINE].size = 2 * MV_MIB;
    refuse("", E2BIG, "boot/cmdline");
}

/* Files that a state names are looked at before anything is made. */
static void test_files_outside(void **state)
{
    blocks[RAM1].saved = false;
    blocks[RAM1].outside = true;
    blocks[RAM1].file = (struct mv_manifest_file){"/nonexistent/ram", 2 * MV_MIB, 1, 2};
    blocks[RAM1].backing = "file=/nonexistent/ram";
    refuse("", ENOENT, "block high");
    refuse("--ram|shared", ENOENT, "block high");
    refuse("-m|4M@2G,id=ram0|-m|2M@8G,id=high", ENOENT, "/nonexistent/ram");
    refuse("--back|high=/nonexistent/b,create=on", ENOENT, "/nonexistent/b");
    blocks[RAM1].backing = "";
    refuse("", ENOENT, "--back high=FILE");
}

static void test_status(void **state)
{
    static const struct {
        enum mv_statefile_status status;
        const char *word;
    } cases[] = {{MV_STATEFILE_STALE, "stale"},
                 {MV_STATEFILE_RAM_STALE, "stale"},
                 {MV_STATEFILE_IN_USE, "a guest ran on its memory"},
                 {MV_STATEFILE_RAM_IN_USE, "a guest ran on its memory"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_state("a b c=d!", 8);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        assert_int_equal(mv_statefile_mark(fd, cases[i].status, &err), 0);
        close(fd);
        assert_int_equal(try_open(""), -ESTALE);
        assert_non_null(strstr(err.text, cases[i].word));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_all_from_the_state),    TEST(test_what_is_given_counts),
        TEST(test_back_replaces_a_place), TEST(test_no_command_line),
        TEST(test_files_of_resets),       TEST(test_other_machines),
        TEST(test_hostile_machines),      TEST(test_hostile_banks),
        TEST(test_hostile_devices),       TEST(test_hostile_command_lines),
        TEST(test_files_outside),         TEST(test_status),
    };
    return cmocka_run_group_tests_name("restore", tests, NULL, NULL);
}
