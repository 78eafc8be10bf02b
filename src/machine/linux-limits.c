/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures are those of Linux 6.x with pages of 4 KiB: COMMAND_LINE_SIZE
 * (arch/arm64/include/uapi/asm/setup.h), INIT_MEMBLOCK_MEMORY_REGIONS
 * (arch/arm64/include/asm/memory.h; the table cannot grow so early), and the
 * linear map of half of 48 bits (arch/arm64/mm/init.c, arm64_memblock_init).
 */
#include "linux-limits.h"

#include "bank.h"
#include "log.h"
#include "size.h"

#include <inttypes.h>
#include <string.h>

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
