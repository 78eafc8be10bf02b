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

/* Always 0; what is wrong ends in abort(). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Pieces to make inputs of. */
extern const char *const mv_fuzz_words[];
extern const size_t mv_fuzz_word_count;

#endif
