/* SPDX-License-Identifier: Apache-2.0 */
/* The header of an arm64 Image, and what a file is that has none. */
#include "boot.h"
#include "size.h"

#include <endian.h>
#include <string.h>

/* Fields of the header (booting.rst, "Call the kernel image"). */
#define TEXT_OFFSET 8
#define IMAGE_SIZE 16
#define FLAGS 24
#define MAGIC 56
#define MAGIC_TEXT "ARM\x64"
#define FLAG_BIG_ENDIAN 1u
#define FLAG_PAGE_SIZE(flags) ((flags) >> 1 & 3)
#define IMAGE_SIZE_LIMIT (UINT64_C(1) << 46)

/* What people pass by mistake, by the bytes that give it away. */
static const struct signature {
    unsigned offset;
    unsigned len;
    const char *bytes;
    const char *what;
} signatures[] = {
    {4, 4, "zimg", "an EFI zboot image; unpack it first, or take the kernel's plain Image"},
    {0, 2, "\x1f\x8b", "compressed by gzip; unpack it first (zcat FILE > Image)"},
    {0, 6, "\xfd"
           "7zXZ\0",
     "compressed by xz; unpack it first (xzcat FILE > Image)"},
    {0, 4, "\x28\xb5\x2f\xfd", "compressed by zstd; unpack it first (zstdcat FILE > Image)"},
    {0, 4, "\x02\x21\x4c\x18", "compressed by lz4; unpack it first (lz4cat FILE > Image)"},
    {0, 3, "BZh", "compressed by bzip2; unpack it first (bzcat FILE > Image)"},
    {0x202, 4, "HdrS", "an x86 bzImage; it needs an x86 machine"},
    {36, 4, "\x18\x28\x6f\x01", "a 32-bit ARM zImage; a 64-bit Image is needed"},
    {0, 4, "\x27\x05\x19\x56", "a U-Boot uImage; the plain Image inside is needed"},
    {0, 4, "\xd0\x0d\xfe\xed", "a flattened device tree or FIT image, not a kernel"},
    {0, 6, "070701", "a cpio archive (an initrd? pass it with -i)"},
    {0, 2, "#!", "a script"},
};

static int not_an_image(const uint8_t *header, size_t len, struct mv_error *err)
{
    if (len >= 20 && memcmp(header, "\x7f"
                                    "ELF",
                            4) == 0) {
        unsigned machine = header[18] | (unsigned)header[19] << 8;
        return mv_error_set(err, ENOEXEC,
                            "it is an ELF file (machine %u%s), not an arm64 Image; make one with "
                            "objcopy -O binary, or take arch/arm64/boot/Image",
                            machine,
                            machine == 183  ? ", AArch64"
                            : machine == 62 ? ", x86-64"
                            : machine == 40 ? ", 32-bit ARM"
                                            : "");
    }
    for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++) {
        const struct signature *s = &signatures[i];
        if (len >= s->offset + s->len && memcmp(header + s->offset, s->bytes, s->len) == 0)
            return mv_error_set(err, ENOEXEC, "it is no arm64 Image but %s", s->what);
    }
    if (len < MV_IMAGE_HEADER_SIZE)
        return mv_error_set(err, ENOEXEC,
                            "it is truncated: %zu bytes, and an arm64 Image's header alone has %d",
                            len, MV_IMAGE_HEADER_SIZE);
    return mv_error_set(err, ENOEXEC,
                        "it is no arm64 Image (no magic number at byte 56); a bare-metal binary "
                        "is run with --firmware");
}

static uint64_t field64(const uint8_t *header, unsigned offset)
{
    uint64_t value;
    memcpy(&value, header + offset, sizeof value);
    return le64toh(value);
}

int mv_image_parse(const uint8_t *header, size_t len, uint64_t file_size, uint64_t *ret_text_offset,
                   uint64_t *ret_image_size, struct mv_error *err)
{
    char text[MV_SIZE_TEXT];
    if (len == 0)
        return mv_error_set(err, ENOEXEC, "the file is empty");
    if (len < MV_IMAGE_HEADER_SIZE || memcmp(header + MAGIC, MAGIC_TEXT, 4) != 0)
        return not_an_image(header, len, err);
    uint64_t text_offset = field64(header, TEXT_OFFSET), size = field64(header, IMAGE_SIZE),
             flags = field64(header, FLAGS);
    if (flags & FLAG_BIG_ENDIAN)
        return mv_error_set(err, ENOEXEC, "it is a big-endian kernel; only little-endian ones run");
    if (FLAG_PAGE_SIZE(flags) > 1)
        return mv_error_set(err, ENOEXEC, "it is a kernel of %s pages; the CPU has 4 KiB ones only",
                            FLAG_PAGE_SIZE(flags) == 2 ? "16 KiB" : "64 KiB");
    if (size == 0) /* before Linux 3.17: 0x80000 was the offset, and the size unknown */
        text_offset = 0x80000;
    if (text_offset > (2u << 20) || text_offset % 4 != 0)
        return mv_error_set(err, ENOEXEC, "its header is broken: text offset 0x%llx",
                            (unsigned long long)text_offset);
    if (size > IMAGE_SIZE_LIMIT)
        return mv_error_set(err, ENOEXEC, "its header is broken: image size %s is too large",
                            mv_size_format(size, text));
    /* The image's size counts from the text; bss makes it more than the file. */
    if (size != 0 && file_size < MV_IMAGE_HEADER_SIZE * 2)
        return mv_error_set(err, ENOEXEC, "it is truncated: %llu bytes behind a header that says "
                            "%s", (unsigned long long)file_size, mv_size_format(size, text));
    *ret_text_offset = text_offset;
    *ret_image_size = size > file_size ? size : file_size;
    return 0;
}
