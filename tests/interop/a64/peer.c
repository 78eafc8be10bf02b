/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a peer that is the same for both: it makes the state of each case
 * from a seed, has the instruction executed, and tells what came out.
 *
 *     PEER hash SEED CASES            16 bytes a case on stdout: outcome, hash
 *     PEER show SEED CASES INDEX      that case's state before and after, as text
 */
#include "peer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test_case cases[MAX_CASES];
static uint8_t *memory;
static uint8_t pristine[BUFFER_SIZE];

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

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

/* An element at one of the limits of its size, or near; or small. */
static uint64_t random_element(unsigned bits)
{
    uint64_t top = UINT64_C(1) << (bits - 1);
    switch (random_below(8)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return top;
    case 3:
        return top - 1;
    case 4:
        return random_below(2 * bits);
    case 5:
        return -(uint64_t)random_below(2 * bits);
    case 6:
        return UINT64_C(1) << random_below(bits);
    default:
        return random_bits();
    }
}

/* A number near those where floating point turns, single or double. */
static uint64_t random_float(unsigned bits)
{
    static const uint16_t exponents[2][8] = {{0, 1, 0x7f, 0x80, 0x9e, 0xbe, 0xfe, 0xff},
                                             {0, 1, 0x3ff, 0x400, 0x41e, 0x43e, 0x7fe, 0x7ff}};
    bool is_double = bits == 64;
    unsigned fraction_bits = is_double ? 52 : 23;
    uint64_t exponent = exponents[is_double][random_below(8)];
    if (exponent > 1 && random_below(2) && exponent < (is_double ? 0x7ffu : 0xffu))
        exponent += random_below(5) - 2;
    uint64_t fraction = random_below(3) ? random_bits() : random_below(2) ? 0 : random_element(64);
    return (random_bits() & 1) << (bits - 1) | exponent << fraction_bits |
           (fraction & ((UINT64_C(1) << fraction_bits) - 1));
}

static uint64_t random_doubleword(void)
{
    unsigned bits = 8u << random_below(4);
    bool floats = bits >= 32 && random_below(2);
    if (random_below(4) == 0)
        return random_bits();
    uint64_t value = 0;
    for (unsigned at = 0; at < 64; at += bits) {
        uint64_t element = floats ? random_float(bits) : random_element(bits);
        value |= (element & UINT64_MAX >> (64 - bits)) << at;
    }
    return value;
}

/* Half of memory is zeros, so that some comparisons with it hold. */
static void fill_memory(uint64_t seed)
{
    random_state = mix(seed + 1, 0) | 1;
    for (unsigned i = 0; i < BUFFER_SIZE; i += 8) {
        uint64_t value = random_below(2) ? random_doubleword() : 0;
        memcpy(pristine + i, &value, 8);
    }
    memcpy(memory, pristine, BUFFER_SIZE);
}

static void make_state(uint64_t seed, unsigned index, struct state *s)
{
    random_state = mix(seed + 1, index + 1) | 1;
    for (unsigned i = 0; i < 31; i++)
        s->x[i] = random_below(3) ? random_element(64) : random_doubleword();
    for (unsigned i = 0; i < 32; i++) {
        s->v[i][0] = random_doubleword();
        s->v[i][1] = random_doubleword();
    }
    s->sp = random_bits();
    s->nzcv = random_bits() & 0xf0000000;
    s->fpcr = random_below(3) ? 0 : random_bits() & (UINT64_C(0x1f) << 22);
    s->fpsr = random_below(4) ? 0 : random_bits() & 0x0800009f;
    const struct test_case *c = &cases[index];
    if (c->kind == CASE_DATA)
        return;
    if (c->kind == CASE_PROGRAM) {
        for (unsigned i = 24; i < 28; i++)
            s->x[i] = (WINDOW_BASE + WINDOW_SIZE / 2 + random_below(1024) - 512) &
                      ~(i < 26 ? UINT64_C(0) : UINT64_C(15));
        s->x[28] = random_below(2) ? random_below(64) : -(uint64_t)random_below(64);
        return;
    }
    unsigned rn = c->words[0] >> 5 & 31, rm = c->words[0] >> 16 & 31;
    uint64_t base = WINDOW_BASE + WINDOW_SIZE / 2 + random_below(256) - 128;
    if (c->kind == CASE_ALIGNED)
        base &= ~UINT64_C(15);
    if (rm != 31)
        s->x[rm] = random_below(4) ? random_below(32) : -(uint64_t)random_below(16);
    *(rn == 31 ? &s->sp : &s->x[rn]) = base;
}

static uint64_t hash_state(const struct state *s, bool with_memory)
{
    uint64_t hash = 1;
    const uint64_t *words = (const uint64_t *)s;
    for (unsigned i = 0; i < sizeof *s / 8; i++)
        hash = mix(hash, words[i]);
    words = (const uint64_t *)(memory + (WINDOW_BASE - BUFFER_BASE));
    for (unsigned i = 0; with_memory && i < WINDOW_SIZE / 8; i++)
        hash = mix(hash, words[i]);
    return hash;
}

static void show_memory(const char *when)
{
    for (unsigned i = WINDOW_BASE - BUFFER_BASE; i < WINDOW_BASE - BUFFER_BASE + WINDOW_SIZE; i++) {
        if (memory[i] != pristine[i])
            printf("%s [%" PRIx64 "] %02x\n", when, BUFFER_BASE + i, memory[i]);
    }
}

static void show_state(const char *when, const struct state *s)
{
    for (unsigned i = 0; i < 31; i++)
        printf("%s x%u %016" PRIx64 "\n", when, i, s->x[i]);
    printf("%s sp %016" PRIx64 "\n", when, s->sp);
    for (unsigned i = 0; i < 32; i++)
        printf("%s v%u %016" PRIx64 "%016" PRIx64 "\n", when, i, s->v[i][1], s->v[i][0]);
    printf("%s nzcv %08" PRIx64 "\n%s fpcr %08" PRIx64 "\n%s fpsr %08" PRIx64 "\n", when, s->nzcv,
           when, s->fpcr, when, s->fpsr);
}

static void run_case(uint64_t seed, unsigned index, bool show)
{
    struct state s;
    make_state(seed, index, &s);
    if (show)
        show_state("before", &s);
    enum outcome outcome = peer_execute(index, &s);
    bool in_memory = cases[index].kind != CASE_DATA;
    if (show) {
        printf("after outcome %d\n", outcome);
        if (outcome == OUTCOME_DONE) {
            show_state("after", &s);
            show_memory("after");
        }
    } else {
        /* What a fault leaves behind is not compared. */
        const uint64_t record[2] = {
            outcome, outcome == OUTCOME_DONE ? hash_state(&s, in_memory) : 0};
        fwrite(record, sizeof record, 1, stdout);
    }
    if (in_memory)
        memcpy(memory, pristine, BUFFER_SIZE);
}

int main(int argc, char **argv)
{
    bool show = argc == 5 && strcmp(argv[1], "show") == 0;
    if (!show && !(argc == 4 && strcmp(argv[1], "hash") == 0)) {
        fprintf(stderr, "usage: %s hash SEED CASES | show SEED CASES INDEX\n", argv[0]);
        return 2;
    }
    uint64_t seed = strtoull(argv[2], NULL, 0);
    FILE *file = fopen(argv[3], "rb");
    if (file == NULL) {
        perror(argv[3]);
        return 1;
    }
    unsigned count = (unsigned)fread(cases, sizeof cases[0], MAX_CASES, file);
    fclose(file);
    if (!peer_start(cases, count, &memory))
        return 1;
    fill_memory(seed);
    for (unsigned i = 0; i < count; i++) {
        if (!show || i == strtoul(argv[4], NULL, 0))
            run_case(seed, i, show);
    }
    return 0;
}
