/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs a fuzz target where libFuzzer does not: inputs made at random out
 * of the target's own words, the same ones for the same seed.
 *
 *     fuzz-qmp-input [ROUNDS [SEED]]
 *     fuzz-qmp-input FILE...          inputs as they are, such as one that failed
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 4096
#define ROUNDS    200000

static uint64_t state;

/* xorshift64* */
static uint64_t next(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(2685821657736338717);
}

static size_t make(uint8_t *buf)
{
    size_t len = 0;
    for (uint64_t words = 1 + next() % 24; words > 0; words--) {
        const char *word = mv_fuzz_words[next() % mv_fuzz_word_count];
        size_t used = strlen(word);
        if (len + used > INPUT_MAX)
            break;
        memcpy(buf + len, word, used);
        len += used;
    }
    for (uint64_t flips = next() % 4; flips > 0 && len > 0 && next() % 2; flips--)
        buf[next() % len] = (uint8_t)next();
    return len;
}

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    static uint8_t buf[1 << 20];
    size_t len = fread(buf, 1, sizeof buf, file);
    fclose(file);
    return LLVMFuzzerTestOneInput(buf, len);
}

int main(int argc, char **argv)
{
    static uint8_t buf[INPUT_MAX];
    char *end = NULL;
    unsigned long rounds = argc > 1 ? strtoul(argv[1], &end, 10) : ROUNDS;
    if (end != NULL && *end != '\0') {
        int status = 0;
        for (int i = 1; i < argc; i++)
            status |= run_file(argv[i]);
        return status;
    }
    if (getenv("MEMVISOR_LONG") != NULL)
        rounds *= 30;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    for (unsigned long i = 0; i < rounds; i++) {
        state = seed * UINT64_C(0x9e3779b97f4a7c15) + i + 1;
        next();
        LLVMFuzzerTestOneInput(buf, make(buf));
    }
    printf("%lu inputs\n", rounds);
    return 0;
}
