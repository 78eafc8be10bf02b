/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Placement.  Banks are looked at as runs: banks without a hole between them
 * count as one.  No state, no lock; called by boot.c.  Sizes come from files,
 * so every sum is checked.
 */
#include "board-arm64.h"

#include "log.h"
#include "size.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PAGE            4096
#define IMAGE_ALIGN     (2 * MV_MIB)
#define FIRMWARE_OFFSET 0x80000

/*
 * A flat binary does not tell how much memory it uses behind itself, so the
 * rest stays clear of it by as much as with QEMU: half of RAM, at most this.
 */
#define FIRMWARE_ROOM (128 * MV_MIB)

/* Initrd and Image lie within one such window (booting.rst, section 4). */
#define WINDOW_ALIGN MV_GIB
#define WINDOW_SIZE  (32 * MV_GIB)

#define ADVICE 32 /* characters */

struct run {
    uint64_t start;
    uint64_t end; /* exclusive: the guest's space has fewer than 64 bits */
};

/* A place of `size` bytes at or above *at; moves *at behind it. */
static bool take(const struct run *run, uint64_t *at, uint64_t align, uint64_t size,
                 uint64_t *ret_gpa)
{
    uint64_t start, end;
    if (mv_add_overflows(*at, align - 1, &start))
        return false;
    start &= ~(align - 1);
    if (mv_add_overflows(start, size, &end) || end > run->end)
        return false;
    *ret_gpa = start;
    *at = end;
    return true;
}

static bool take_rest(const struct run *run, const struct mv_placement_request *request,
                      uint64_t at, struct mv_placement *p)
{
    if (!take(run, &at, PAGE, request->fdt_size, &p->fdt))
        return false;
    p->initrd = 0;
    if (request->initrd_size == 0)
        return true;
    if (!take(run, &at, PAGE, request->initrd_size, &p->initrd))
        return false;
    return request->firmware || at - (p->kernel & ~(WINDOW_ALIGN - 1)) <= WINDOW_SIZE;
}

static bool place_image(const struct run *run, const struct mv_placement_request *request,
                        struct mv_placement *p)
{
    uint64_t at = run->start, base;
    if (!take(run, &at, IMAGE_ALIGN, 0, &base) ||
        mv_add_overflows(base, request->image.text_offset, &at) ||
        !take(run, &at, 1, request->image.memory_size, &p->kernel))
        return false;
    return take_rest(run, request, at, p);
}

static bool place_firmware(const struct run *run, const struct mv_placement_request *request,
                           struct mv_placement *p)
{
    uint64_t at = run->start + FIRMWARE_OFFSET;
    if (!take(run, &at, 1, request->image.memory_size, &p->kernel))
        return false;
    uint64_t room = (run->end - run->start) / 2;
    uint64_t clear = run->start + (room < FIRMWARE_ROOM ? room : FIRMWARE_ROOM);
    return take_rest(run, request, at > clear ? at : clear, p);
}

/* The run that starts with bank *index; moves *index behind it. */
static struct run next_run(const struct mv_bank_layout *layout, size_t *index)
{
    const struct mv_bank *bank = &layout->banks[(*index)++];
    struct run run = {bank->gpa, bank->gpa + bank->size};
    for (; *index < layout->count && layout->banks[*index].gpa == run.end; (*index)++)
        run.end += layout->banks[*index].size;
    return run;
}

/* --- what is said of too little RAM */

/* The RAM that a guest takes, in bytes; sums that do not fit are UINT64_MAX. */
struct need {
    uint64_t loaded; /* by what is put into it */
    uint64_t beside; /* by Linux, to come up */
    uint64_t total;
};

static uint64_t sum(uint64_t a, uint64_t b)
{
    uint64_t total;
    return mv_add_overflows(a, b, &total) ? UINT64_MAX : total;
}

/*
 * Beside itself Linux needs about two thirds of its image to come up: Debian's
 * 6.1, an image of 27 MiB, starts with 19 MiB left and not with 18.  What the
 * initrd holds is unpacked before it is freed.
 */
static struct need need_of(const struct mv_placement_request *request)
{
    const struct mv_image *image = &request->image;
    struct need need = {.beside = FIRMWARE_OFFSET};
    need.loaded = sum(sum(image->memory_size, request->initrd_size), request->fdt_size);
    if (!request->firmware)
        need.beside =
            sum(sum(image->memory_size / 3 * 2, request->initrd_size), image->text_offset);
    need.total = sum(need.loaded, need.beside);
    return need;
}

/* What to type for so much: "-m 64M". */
static const char *advise(uint64_t total, char buf[ADVICE])
{
    uint64_t ram = 2 * MV_MIB;
    while (ram < total && ram < UINT64_C(1) << 62)
        ram *= 2;
    snprintf(buf, ADVICE, "-m %" PRIu64 "M", ram / MV_MIB);
    return buf;
}

static const char *about(uint64_t size, char buf[MV_SIZE_TEXT])
{
    uint64_t unit = size < MV_MIB ? MV_KIB : MV_MIB;
    return mv_size_format(size > UINT64_MAX - unit ? size : mv_align_up(size, unit), buf);
}

static void list_banks(const struct mv_bank_layout *layout, char *buf, size_t size)
{
    size_t used = 0;
    char words[MV_SIZE_TEXT];
    buf[0] = '\0';
    for (size_t i = 0; i < layout->count; i++) {
        const struct mv_bank *bank = &layout->banks[i];
        if (used > size - 160) {
            snprintf(buf + used, size - used, " and %zu more", layout->count - i);
            return;
        }
        int n = snprintf(buf + used, size - used, "%s%.40s 0x%" PRIx64 "-0x%" PRIx64 " (%s)",
                         i == 0 ? "" : ", ", bank->id, bank->gpa, bank->gpa + bank->size - 1,
                         mv_size_format(bank->size, words));
        used += (size_t)n;
    }
}

static int refuse(const struct mv_placement_request *request, const struct mv_bank_layout *layout,
                  struct mv_error *err)
{
    char kernel[MV_SIZE_TEXT], initrd[MV_SIZE_TEXT], fdt[MV_SIZE_TEXT], all[MV_SIZE_TEXT];
    char banks[1500], with_initrd[64] = "", advice[ADVICE];
    struct need need = need_of(request);
    if (request->initrd_size != 0)
        snprintf(with_initrd, sizeof with_initrd, ", the initrd (%s)",
                 about(request->initrd_size, initrd));
    list_banks(layout, banks, sizeof banks);
    return mv_error_set(err, ENOSPC,
                        "no place in RAM: the %s (%s)%s and the device tree (%s) need %s without "
                        "a hole%s, and the banks are %s: give a larger one, such as %s",
                        request->firmware ? "firmware" : "kernel",
                        about(request->image.memory_size, kernel), with_initrd,
                        about(request->fdt_size, fdt), about(need.loaded, all),
                        request->firmware ? ", 512 KiB behind the lowest bank's start"
                                          : ", from a multiple of 2 MiB on",
                        banks, advise(need.total, advice));
}

/* A bank that holds all of it may still be too small for what comes up. */
void mv_placement_warn(const struct mv_placement_request *request,
                       const struct mv_bank_layout *layout)
{
    char kernel[MV_SIZE_TEXT], loaded[MV_SIZE_TEXT], beside[MV_SIZE_TEXT], has[MV_SIZE_TEXT];
    char advice[ADVICE];
    struct need need = need_of(request);
    uint64_t ram = 0;
    for (size_t i = 0; i < layout->count; i++)
        ram += layout->banks[i].size;
    if (!request->firmware && ram < need.total)
        mv_warn("RAM of %s is little for this kernel, which may not start: itself (%s), initrd and "
                "device tree take %s of it, and Linux about %s more: give %s",
                about(ram, has), about(request->image.memory_size, kernel),
                about(need.loaded, loaded), about(need.beside, beside),
                advise(need.total, advice));
}

int mv_placement_find(const struct mv_placement_request *request,
                      const struct mv_bank_layout *layout, struct mv_placement *ret,
                      struct mv_error *err)
{
    char words[MV_SIZE_TEXT];
    if (request->fdt_size > MV_FDT_SIZE_MAX)
        return mv_error_set(err, EFBIG,
                            "the device tree would have %s, and a guest takes 2 MiB at most: give "
                            "fewer banks or a shorter command line",
                            mv_size_format(request->fdt_size, words));
    for (size_t i = 0; i < layout->count;) {
        struct run run = next_run(layout, &i);
        struct mv_placement p = {0};
        if (request->firmware ? place_firmware(&run, request, &p)
                              : place_image(&run, request, &p)) {
            *ret = p;
            return 0;
        }
        if (request->firmware)
            break;
    }
    return refuse(request, layout, err);
}

/*
 * --- what Linux would lose without a word
 *
 * Figures are those of Linux 6.x with pages of 4 KiB: COMMAND_LINE_SIZE
 * (arch/arm64/include/uapi/asm/setup.h), INIT_MEMBLOCK_MEMORY_REGIONS
 * (arch/arm64/include/asm/memory.h; the table cannot grow so early), and the
 * linear map of half of 48 bits (arch/arm64/mm/init.c, arm64_memblock_init).
 */

#define CMDLINE_MAX  2047 /* without the NUL */
#define REGIONS_MAX  1024
#define LINEAR_MAP   (128 * MV_TIB)
#define LINEAR_ALIGN MV_GIB

static void warn_cmdline(const char *cmdline)
{
    size_t len = strlen(cmdline);
    if (len > CMDLINE_MAX)
        mv_warn("the command line has %zu bytes, and Linux takes %d: it loses the rest: give a "
                "shorter one with -a",
                len, CMDLINE_MAX);
}

/* Banks without a hole between them are one. */
static void warn_regions(const struct mv_bank_layout *layout)
{
    size_t regions = layout->count == 0 ? 0 : 1;
    for (size_t i = 1; i < layout->count; i++)
        regions += layout->banks[i].gpa != layout->banks[i - 1].gpa + layout->banks[i - 1].size;
    if (regions > REGIONS_MAX)
        mv_warn("the banks are %zu regions of RAM, and Linux takes %d: it loses the rest: give "
                "fewer banks, or leave no holes between them",
                regions, REGIONS_MAX);
}

/* It keeps what is near the lowest bank. */
static void warn_span(const struct mv_bank_layout *layout)
{
    const struct mv_bank *low = &layout->banks[0], *high = &layout->banks[layout->count - 1];
    uint64_t start = low->gpa - low->gpa % LINEAR_ALIGN;
    uint64_t end = high->gpa + high->size;
    uint64_t lost = 0;
    char span[MV_SIZE_TEXT], limit[MV_SIZE_TEXT], words[MV_SIZE_TEXT];
    if (end - start <= LINEAR_MAP)
        return;
    for (size_t i = 0; i < layout->count; i++) {
        const struct mv_bank *bank = &layout->banks[i];
        uint64_t reach = start + LINEAR_MAP, bank_end = bank->gpa + bank->size;
        if (bank_end > reach)
            lost += bank->gpa > reach ? bank->size : bank_end - reach;
    }
    mv_warn("the banks from %s (0x%" PRIx64 ") to %s (0x%" PRIx64 ") span %s, and Linux maps %s: "
            "it loses the %s beyond: put them closer together",
            low->id, low->gpa, high->id, high->gpa, mv_size_format(mv_align_up(end - start, MV_TIB), span),
            mv_size_format(LINEAR_MAP, limit), mv_size_format(lost, words));
}

void mv_linux_limits_warn(const char *cmdline, const struct mv_bank_layout *layout)
{
    warn_cmdline(cmdline);
    warn_regions(layout);
    if (layout->count > 0)
        warn_span(layout);
}
