/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_qmp_input: cuts a client's bytes into JSON values.  Values may
 * follow one another without a separator and come in any pieces.  Bounded: a
 * value has at most MV_QMP_INPUT_MAX bytes and MV_QMP_DEPTH_MAX levels.  No
 * lock; one client's, in the main thread.
 *
 * As QEMU does, it takes strings in single quotes too, and finds back into
 * step after a byte that JSON does not have, such as 0xff or a control
 * character (docs/interop/qmp-spec, "Forcing the JSON parser into known-good
 * state").
 *
 * Integers beyond 2^63-1 come out in a form that the JSON parser can take;
 * qmp-json.h says which.
 */
#ifndef MV_CONTROL_QMP_INPUT_H
#define MV_CONTROL_QMP_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MV_QMP_INPUT_MAX (256 * 1024)
#define MV_QMP_DEPTH_MAX 1024

/* How a string begins, as JSON writes it, that stands for an integer from 2^63 on. */
#define MV_QMP_INPUT_LARGE "\\u0000"

enum mv_qmp_input_result {
    MV_QMP_INPUT_MORE,  /* all bytes are taken, no value is complete */
    MV_QMP_INPUT_VALUE, /* text holds a value whose brackets are in balance */
    MV_QMP_INPUT_ERROR, /* error says why; the next bytes start anew */
};

struct mv_qmp_input {
    char *text; /* with a NUL behind it */
    size_t len;
    const char *error;
    size_t max; /* bytes of a value: MV_QMP_INPUT_MAX, or what the owner set since */
    /* The rest is qmp-input.c's own. */
    enum mv_qmp_input_result result;
    size_t capacity;
    int state;
    char quote;
    size_t token; /* offset in text of the word, or of what follows \u; 0 for none of the latter */
    bool discarding;
    int64_t braces; /* open ones; more closed than opened are negative */
    int64_t brackets;
};

void mv_qmp_input_init(struct mv_qmp_input *input);
void mv_qmp_input_clear(struct mv_qmp_input *input);

/*
 * Take bytes until there is something to tell; *ret_taken is how many.  text
 * and error stay as they are until the next call.
 */
enum mv_qmp_input_result mv_qmp_input_take(struct mv_qmp_input *input, const char *buf, size_t len,
                                           size_t *ret_taken);

#endif
