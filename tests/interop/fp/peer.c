/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a floating-point peer that is the same for all: from a seed it
 * makes operands, has them executed and prints what comes out.
 *
 *     PEER hash SEED COUNT          a line for each case: its name and a hash
 *     PEER show SEED COUNT CASE     a line for each execution of one case
 *     PEER words                    a line for each case: its name and its instruction
 */
#include "peer.h"
#include "cases.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct format {
    unsigned size, fraction;
};
static const struct format format_H = {16, 10}, format_S = {32, 23}, format_D = {64, 52};

static const struct {
    const char *name;
    const struct format *format;
} cases[] = {
#define ROW(id, text, kind, library) {#id, &format_##kind},
    ALL_ROWS(ROW)
#undef ROW
};

/* xorshift64*: any fixed generator will do. */
static uint64_t random_state;
static uint64_t random_bits(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(0x2545f4914f6cdd1d);
}
static unsigned random_below(unsigned limit)
{
    return (unsigned)((random_bits() >> 32) * limit >> 32);
}

/* All random, none, all ones, a run of ones, or a few bits set or clear. */
static uint64_t random_fraction(void)
{
    uint64_t bits = random_bits();
    switch (random_below(7)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return UINT64_MAX << random_below(64);
    case 3:
        return UINT64_MAX >> random_below(64);
    case 4:
        return UINT64_C(1) << random_below(64) | UINT64_C(1) << random_below(64);
    case 5:
        return ~(UINT64_C(1) << random_below(64));
    default:
        return bits;
    }
}

/*
 * A number of the format: mostly with an exponent near one that matters (that
 * of zero, of one, of integer limits, of infinity) or near that of `other`.
 */
static uint64_t random_number(const struct format *f, uint64_t other)
{
    unsigned top = (1u << (f->size - 1 - f->fraction)) - 1, bias = top / 2;
    unsigned near[] = {0,           1,          bias, bias + f->fraction, bias + 31, bias + 63,
                       bias - 31,   top - 1,    top,  bias / 2,           bias - 14, bias + 15,
                       bias - 126u, bias + 127u};
    unsigned exponent = (unsigned)random_bits();
    if (random_below(8) != 0) {
        exponent = near[random_below(sizeof near / sizeof near[0])];
        if (random_below(3) == 0)
            exponent = (unsigned)(other >> f->fraction) - random_below(2) * f->fraction;
        if (random_below(2) == 0)
            exponent += random_below(5) - 2;
    }
    uint64_t sign = random_bits() & 1;
    uint64_t fraction = random_fraction() & ((UINT64_C(1) << f->fraction) - 1);
    /* Zeros and infinities more often than they would come, and NaNs with them. */
    if (random_below(6) == 0) {
        exponent = random_below(2) ? 0 : top;
        fraction = random_below(3) ? 0 : fraction;
    }
    /* The same number again, or its neighbour. */
    if (random_below(16) == 0)
        return other + random_below(2);
    return sign << (f->size - 1) | (uint64_t)(exponent & top) << f->fraction | fraction;
}

static uint64_t random_integer(void)
{
    uint64_t value = random_fraction();
    if (random_below(2))
        value = (UINT64_C(1) << random_below(64)) + random_below(5) - 2;
    return random_below(4) ? value >> random_below(64) : -value;
}

static void make_operands(const struct format *f, struct state *s)
{
    uint64_t other = 0;
    memset(s, 0, sizeof *s);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t above = f->size == 64 ? 0 : random_bits() << f->size;
        other = random_number(f, other) & UINT64_MAX >> (64 - f->size);
        s->v[i][0] = above | other;
        s->v[i][1] = random_bits();
    }
    s->x[0] = random_bits();
    s->x[1] = random_integer();
    s->fpcr = random_bits() & (UINT64_C(0x1f) << 22); /* AHP, DN, FZ, RMode */
    s->fpsr = random_below(4) ? 0 : random_bits() & 0x0800009f;
    s->nzcv = random_bits() & 0xf0000000;
}

static void print_state(const char *name, const struct state *in, const struct state *out)
{
    printf("%s fpcr=%08" PRIx64, name, in->fpcr);
    for (unsigned i = 0; i < 4; i++)
        printf(" v%u=%016" PRIx64 "%016" PRIx64, i, in->v[i][1], in->v[i][0]);
    printf(" x0=%" PRIx64 " x1=%" PRIx64 " fpsr=%08" PRIx64 " nzcv=%08" PRIx64, in->x[0], in->x[1],
           in->fpsr, in->nzcv);
    printf(" -> v0=%016" PRIx64 "%016" PRIx64 " x0=%" PRIx64 " fpsr=%08" PRIx64 " nzcv=%08" PRIx64
           "\n",
           out->v[0][1], out->v[0][0], out->x[0], out->fpsr, out->nzcv);
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15) >> 7 ^ hash << 57 ^ value;
}

/* Whether the peer can do the case. */
static bool run_case(unsigned id, uint64_t seed, unsigned long count, bool show)
{
    uint64_t hash = 0;
    random_state = mix(seed + 1, id + 1) | 1;
    for (unsigned long i = 0; i < count; i++) {
        struct state in, out;
        make_operands(cases[id].format, &in);
        out = in;
        if (!peer_execute(id, &out))
            return false;
        if (show)
            print_state(cases[id].name, &in, &out);
        const uint64_t results[] = {out.v[0][0], out.v[0][1], out.x[0], out.fpsr, out.nzcv};
        for (unsigned r = 0; r < sizeof results / sizeof results[0]; r++)
            hash = mix(hash, results[r]);
    }
    if (!show)
        printf("%s %016" PRIx64 "\n", cases[id].name, hash);
    return true;
}

static int print_words(void)
{
    for (unsigned id = 0; id < CASE_COUNT; id++)
        printf("%s %08" PRIx32 "\n", cases[id].name, peer_word(id));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "words") == 0)
        return print_words();
    bool show = argc == 5 && strcmp(argv[1], "show") == 0;
    if (!show && !(argc == 4 && strcmp(argv[1], "hash") == 0)) {
        fprintf(stderr, "usage: %s hash SEED COUNT | show SEED COUNT CASE | words\n", argv[0]);
        return 2;
    }
    if (!peer_start())
        return 1;
    uint64_t seed = strtoull(argv[2], NULL, 0);
    unsigned long count = strtoul(argv[3], NULL, 0);
    for (unsigned id = 0; id < CASE_COUNT; id++) {
        if (!show || strcmp(argv[4], cases[id].name) == 0)
            run_case(id, seed, count, show);
    }
    return 0;
}
