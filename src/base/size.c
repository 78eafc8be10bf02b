/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to sizes and addresses, and back.  Pure functions: no state, no lock,
 * any thread.  Called by config (what users write) and by everything that
 * shows a size in a message.
 */
#include "size.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The suffixes, each 1024 times the one before; the first counts KiB. */
static const char suffixes[] = "KMGTP";
static const char *const unit_names[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};

/* The shift that a suffix stands for, 0 where the character is none. */
static unsigned suffix_shift(char c)
{
    const char *found = c == '\0' ? NULL : strchr(suffixes, toupper((unsigned char)c));
    return found == NULL ? 0 : 10 * (unsigned)(found - suffixes + 1);
}

static bool is_hex(const char *text)
{
    return text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

/*
 * Read digits, hexadecimal ones behind a 0x: what stands behind them.  Where the value
 * does not fit, *ret_overflow becomes true, and all digits are still consumed.
 */
static const char *read_digits(const char *text, uint64_t *ret, bool *ret_overflow)
{
    char *end = NULL;
    errno = 0;
    *ret = isdigit((unsigned char)*text) ? strtoull(text, &end, is_hex(text) ? 16 : 10) : 0;
    *ret_overflow = errno == ERANGE;
    return end == NULL ? text : end;
}

static int too_large(const char *what, const char *text, struct mv_error *err)
{
    return mv_error_set(err, ERANGE, "%s '%s' is too large: it does not fit 64 bits", what, text);
}

int mv_size_parse(const char *text, uint64_t *ret_bytes, struct mv_error *err)
{
    uint64_t value;
    bool overflow;
    const char *rest = read_digits(text, &value, &overflow);
    unsigned shift = *rest == '\0' ? 20 : suffix_shift(*rest);

    if (is_hex(text))
        return mv_error_set(err, EINVAL,
                            "size '%s' is hexadecimal: write a decimal number with K, M, G, T or "
                            "P, such as 512M",
                            text);
    if (rest == text || shift == 0 || (*rest != '\0' && rest[1] != '\0'))
        return mv_error_set(err, EINVAL,
                            "'%s' is no size: write a whole number of MiB, or one with K, M, G, T "
                            "or P, such as 512M",
                            text);
    if (overflow || mv_mul_overflows(value, UINT64_C(1) << shift, &value))
        return too_large("size", text, err);
    *ret_bytes = value;
    return 0;
}

int mv_address_parse(const char *text, uint64_t *ret_gpa, struct mv_error *err)
{
    bool hex = is_hex(text);
    uint64_t value;
    bool overflow;
    const char *rest = read_digits(text, &value, &overflow);
    unsigned shift = hex ? 0 : suffix_shift(*rest);

    if (rest == text || (shift == 0 && *rest != '\0') || (shift != 0 && rest[1] != '\0'))
        return mv_error_set(err, EINVAL,
                            "'%s' is no address: write 0x and hexadecimal digits for bytes, or a "
                            "whole number with K, M, G, T or P, such as 2G",
                            text);
    if (overflow || mv_mul_overflows(value, UINT64_C(1) << shift, &value))
        return too_large("address", text, err);
    if (!hex && shift == 0)
        return mv_error_set(err, EINVAL,
                            "address '%s' is ambiguous: write 0x%" PRIx64 " for %s bytes, or a "
                            "suffix, such as %sM for MiB",
                            text, value, text, text);
    *ret_gpa = value;
    return 0;
}

const char *mv_size_format(uint64_t bytes, char buf[MV_SIZE_TEXT])
{
    size_t unit = 0;
    size_t last = sizeof unit_names / sizeof unit_names[0] - 1;
    while (bytes != 0 && unit < last && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(buf, MV_SIZE_TEXT, "%" PRIu64 " %s", bytes,
             unit == 0 && bytes == 1 ? "byte" : unit_names[unit]);
    return buf;
}
