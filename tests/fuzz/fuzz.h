/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fuzz target offers, and fuzz-main.c or libFuzzer calls.  For the
 * latter, configure with CC=clang and -Db_sanitize=address -Dc_args=-fsanitize=fuzzer-no-link,
 * and link the target's object with -fsanitize=fuzzer in fuzz-main.c's place.
 */
#ifndef MV_TESTS_FUZZ_H
#define MV_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Always 0; what is wrong ends in abort(). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Of those that have to be made ready once. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* End with the condition and the target's own `err`, unless it holds. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s is not so: %s\n", __LINE__, #condition, err.text);        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Pieces to make inputs of. */
extern const char *const mv_fuzz_words[];
extern const size_t mv_fuzz_word_count;

#endif
