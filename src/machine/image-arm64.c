/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of an arm64 Image, and a table of what people pass by mistake.
 * No state, no lock; called by boot.c.  Every field is a stranger's word:
 * sizes are bounded by where they are placed, not here.
 */
#include "board-arm64.h"

#include "size.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define HEADER_SIZE 64
#define MAGIC       "ARM\x64"
#define MAGIC_AT    0x38

#define FLAG_BIG_ENDIAN (1u << 0)

/* Kernels before 3.17 tell neither size nor offset; these are their values. */
#define OLD_TEXT_OFFSET 0x80000
#define OLD_BSS         (16 * MV_MIB)

struct head {
    const uint8_t *bytes;
    size_t len;
};

static uint64_t field(const struct head *head, size_t at, unsigned size)
{
    uint64_t value = 0;
    if (at + size > head->len)
        return 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)head->bytes[at + i] << (8 * i);
    return value;
}

static bool matches(const struct head *head, size_t at, const char *bytes, size_t len)
{
    return at + len <= head->len && memcmp(head->bytes + at, bytes, len) == 0;
}

/* --- what else it may be */

struct impostor {
    size_t at;
    const char *magic;
    size_t len;
    const char *what;
    const char *remedy; /* or NULL */
};

#define IS(at, magic, what, remedy) {at, magic, sizeof(magic) - 1, what, remedy}

/* In order of certainty: the first that matches is taken. */
static const struct impostor impostors[] = {
    IS(0, "\x1f\x8b", "gzip-compressed", "unpack it with gunzip -c"),
    IS(0, "\xfd" "7zXZ\0", "xz-compressed", "unpack it with unxz -c"),
    IS(0, "\x28\xb5\x2f\xfd", "zstd-compressed", "unpack it with unzstd -c"),
    IS(0, "\x04\x22\x4d\x18", "lz4-compressed", "unpack it with unlz4 -c"),
    IS(0, "\x02\x21\x4c\x18", "lz4-compressed", "unpack it with unlz4 -c"),
    IS(0, "BZh", "bzip2-compressed", "unpack it with bunzip2 -c"),
    IS(0, "\x89LZO\0\r\n\x1a\n", "lzop-compressed", "unpack it with lzop -dc"),
    IS(0, "\x5d\0\0", "lzma-compressed", "unpack it with unlzma -c"),
    IS(0x202, "HdrS", "an x86 bzImage", NULL),
    IS(0x24, "\x18\x28\x6f\x01", "a 32-bit ARM zImage", NULL),
    IS(0x38, "RSC\x05", "a RISC-V Image", NULL),
    IS(0, "\x27\x05\x19\x56", "a U-Boot uImage", "give the Image it was made from"),
    IS(0, "\xd0\x0d\xfe\xed", "a device tree blob or a FIT image", NULL),
    IS(0, "070701", "a cpio archive", "an initrd goes behind -i"),
    IS(0, "!<arch>\n", "an ar archive (a Debian package?)", NULL),
    IS(0, "#!", "a script", NULL),
    IS(0, "MZ", "an EFI or DOS program", NULL),
};

/* e_machine of ELF files that a kernel may be (ELF gABI and its registry). */
static const struct {
    unsigned machine;
    const char *name;
} elf_machines[] = {
    {3, "x86"}, {62, "x86-64"}, {40, "32-bit ARM"}, {183, "arm64"},  {243, "RISC-V"},
    {8, "MIPS"}, {20, "PowerPC"}, {21, "64-bit PowerPC"}, {22, "s390"}, {258, "LoongArch"},
};

static void describe_elf(const struct head *head, char *buf, size_t size)
{
    bool big = head->len > 5 && head->bytes[5] == 2;
    unsigned machine = (unsigned)field(head, 18, 2);
    if (big)
        machine = (machine & 0xff) << 8 | machine >> 8;
    const char *name = "another machine";
    for (size_t i = 0; i < sizeof elf_machines / sizeof elf_machines[0]; i++) {
        if (elf_machines[i].machine == machine)
            name = elf_machines[i].name;
    }
    snprintf(buf, size, "an ELF file for %s (number %u)%s", name, machine,
             machine == 183 ? ": give arch/arm64/boot/Image, not vmlinux" : "");
}

/* EFI zboot (Linux, drivers/firmware/efi/libstub/zboot-header.S). */
static void describe_zboot(const struct head *head, char *buf, size_t size)
{
    char method[17] = "";
    for (size_t i = 0; i < sizeof method - 1 && 0x18 + i < head->len; i++) {
        uint8_t c = head->bytes[0x18 + i];
        if (c < '!' || c > '~')
            break;
        method[i] = (char)c;
        method[i + 1] = '\0';
    }
    snprintf(buf, size, "a compressed EFI image (zboot, %s): give the Image it was made from",
             method[0] == '\0' ? "unknown method" : method);
}

static void describe(const struct head *head, char *buf, size_t size)
{
    if (matches(head, 0, "\x7f" "ELF", 4)) {
        describe_elf(head, buf, size);
        return;
    }
    if (head->len >= HEADER_SIZE && matches(head, 0, "MZ", 2) && matches(head, 4, "zimg", 4)) {
        describe_zboot(head, buf, size);
        return;
    }
    /* An Image with an EFI header begins so too: cut off, it may be either. */
    bool cut = head->len < HEADER_SIZE && matches(head, 0, "MZ", 2);
    for (size_t i = 0; !cut && i < sizeof impostors / sizeof impostors[0]; i++) {
        const struct impostor *is = &impostors[i];
        if (!matches(head, is->at, is->magic, is->len))
            continue;
        snprintf(buf, size, "%s%s%s", is->what, is->remedy == NULL ? "" : ": ",
                 is->remedy == NULL ? "" : is->remedy);
        return;
    }
    if (head->len < HEADER_SIZE)
        snprintf(buf, size, "truncated: it has %zu bytes, and an Image's header alone has %u",
                 head->len, HEADER_SIZE);
    else
        snprintf(buf, size, "of no known kind (an Image has ARMd at 0x38): a "
                            "bare-metal binary goes behind --firmware");
}

/* --- the header */

/*
 * Where a PE header is there for EFI, its sections say how long the file must
 * be (Microsoft PE format, "Section Table"); the Image's own header does not.
 */
static uint64_t pe_file_size(const struct head *head)
{
    if (!matches(head, 0, "MZ", 2))
        return 0;
    size_t pe = (size_t)field(head, 0x3c, 4);
    if (pe > head->len || !matches(head, pe, "PE\0\0", 4))
        return 0;
    uint64_t sections = field(head, pe + 6, 2), end = 0;
    size_t table = pe + 24 + (size_t)field(head, pe + 20, 2);
    for (uint64_t i = 0; i < sections && table + 40 * (i + 1) <= head->len; i++) {
        size_t at = table + 40 * i;
        uint64_t section_end = field(head, at + 16, 4) + field(head, at + 20, 4);
        if (section_end > end)
            end = section_end;
    }
    return end;
}

int mv_image_parse(const char *path, const uint8_t *bytes, size_t len, uint64_t file_size,
                   struct mv_image *ret, struct mv_error *err)
{
    const struct head head = {bytes, len};
    if (!matches(&head, MAGIC_AT, MAGIC, 4) || len < HEADER_SIZE) {
        char what[160];
        describe(&head, what, sizeof what);
        return mv_error_set(err, ENOEXEC, "the kernel '%s' is no arm64 Image; it is %s", path,
                            what);
    }
    uint64_t needed = pe_file_size(&head);
    if (file_size < needed)
        return mv_error_set(err, ENOEXEC,
                            "the kernel '%s' is truncated: it has %llu bytes of %llu", path,
                            (unsigned long long)file_size, (unsigned long long)needed);
    if (field(&head, 24, 8) & FLAG_BIG_ENDIAN)
        return mv_error_set(err, ENOEXEC,
                            "the kernel '%s' is big-endian: the machine is little-endian", path);

    struct mv_image image = {field(&head, 8, 8), field(&head, 16, 8)};
    if (image.memory_size == 0) {
        image.text_offset = OLD_TEXT_OFFSET;
        image.memory_size = file_size + OLD_BSS;
    }
    /* In the architecture's terms, an entry point that is no instruction's place. */
    if (image.text_offset % 4 != 0)
        return mv_error_set(err, ENOEXEC, "the kernel '%s' has a broken header: text offset 0x%llx",
                            path, (unsigned long long)image.text_offset);
    if (image.memory_size < file_size)
        image.memory_size = file_size;
    *ret = image;
    return 0;
}
