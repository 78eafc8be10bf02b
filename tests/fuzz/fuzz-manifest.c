/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer against the reader of manifests, and the parsers of options that read what is in
 * one.  An input is a byte of MiB that RAM has in the file, and the text.  What is read is
 * printed, and read again as the same.
 *
 * With MEMVISOR_FUZZ_SEEDS=FOLDER in its environment the program writes inputs to begin with,
 * and ends.
 */
#include "config-text.h"
#include "fuzz.h"
#include "manifest.h"
#include "size.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct mv_error err;

static void check_error(void)
{
    CHECK(strncmp(err.text, "manifest: ", 10) == 0);
    for (const char *c = err.text; *c != '\0'; c++)
        CHECK(*c >= ' ' && *c < 0x7f);
}

/* What options say may be wrong, and is refused by those who read options. */
static void parse_options(const struct mv_manifest *manifest)
{
    struct mv_error ignored;
    for (size_t i = 0; i < manifest->block_count; i++) {
        struct mv_config_backing backing = {0};
        if (mv_config_parse_backing(manifest->blocks[i].backing, &backing, &ignored) == 0)
            mv_backing_clear(&backing);
    }
    for (size_t i = 0; i < manifest->device_count; i++) {
        struct mv_config_device device = {0};
        const char *text = manifest->devices[i].options;
        if (text != NULL && mv_config_parse_device_add(text, &device, &ignored) == 0)
            mv_config_device_clear(&device);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mv_manifest manifest, again;
    char *first, *second;
    size_t length, length_again;
    if (size == 0)
        return 0;
    uint64_t ram = data[0] * MV_MIB;
    if (mv_manifest_parse((const char *)data + 1, size - 1, ram, &manifest, &err) < 0) {
        check_error();
        return 0;
    }
    parse_options(&manifest);
    CHECK(mv_manifest_print(&manifest, ram, &first, &length, &err) == 0);
    CHECK(mv_manifest_parse(first, length, ram, &again, &err) == 0);
    CHECK(mv_manifest_print(&again, ram, &second, &length_again, &err) == 0);
    CHECK(length == length_again && memcmp(first, second, length) == 0);
    free(first);
    free(second);
    mv_manifest_clear(&manifest);
    mv_manifest_clear(&again);
    return 0;
}

/* --- what to begin with */

static void write_seed(const char *folder, unsigned number, const struct mv_manifest *manifest)
{
    const uint8_t mib = 16;
    char path[256], *text;
    size_t length;
    CHECK(mv_manifest_print(manifest, mib * MV_MIB, &text, &length, &err) == 0);
    snprintf(path, sizeof path, "%s/%u", folder, number);
    FILE *out = fopen(path, "w");
    CHECK(out != NULL && fwrite(&mib, 1, 1, out) == 1 && fwrite(text, 1, length, out) == length);
    CHECK(fclose(out) == 0);
    free(text);
}

static void write_seeds(const char *folder)
{
    char name[] = "vm1", writer[] = "memvisor 1.0", machine[] = "arm64", engine[] = "auto";
    char ids[][16] = {"ram0", "boot/cmdline", "pci/03.0/bar2"};
    char backing[] = "thp=on", path[] = "/tmp/a b", type[] = "edu", options[] = "edu,addr=4.0";
    struct mv_manifest_block blocks[] = {
        {.id = ids[0],
         .has_gpa = true,
         .gpa = 0x80000000,
         .size = 4 * MV_MIB,
         .backing = backing,
         .saved = true,
         .offset = 2 * MV_MIB},
        {.id = ids[1], .size = 13, .backing = backing + 6, .saved = true, .offset = 6 * MV_MIB},
        {.id = ids[2],
         .size = 4096,
         .backing = backing,
         .outside = true,
         .file = {path, 4096, 0x801, UINT64_MAX}},
    };
    struct mv_manifest_device devices[] = {
        {.path = ids[0], .type = type, .version = 1},
        {.path = ids[1], .type = type, .version = 2, .options = options},
    };
    const struct mv_manifest manifest = {.name = name,
                                         .writer = writer,
                                         .machine = machine,
                                         .engine = engine,
                                         .cpus = 2,
                                         .blocks = blocks,
                                         .devices = devices,
                                         .base_path = path};
    for (unsigned i = 0; i < 8; i++) {
        struct mv_manifest seed = manifest;
        seed.block_count = i < 4 ? i : 3;
        seed.device_count = i / 3;
        seed.firmware = seed.has_base = i % 2 == 1;
        write_seed(folder, i, &seed);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *folder = getenv("MEMVISOR_FUZZ_SEEDS");
    (void)argc;
    (void)argv;
    if (folder != NULL) {
        write_seeds(folder);
        exit(0);
    }
    return 0;
}
