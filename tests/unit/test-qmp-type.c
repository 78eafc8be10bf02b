/* SPDX-License-Identifier: Apache-2.0 */
/* control/qmp-type.c: what fits a type, and what an error says of the rest. */
#include "qmp-type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const values[] = {"red", "green", NULL};
static const struct mv_qmp_type colour = {
    .kind = MV_QMP_ENUM, .name = "Colour", .values = values};
static const struct mv_qmp_type uints = {
    .kind = MV_QMP_ARRAY, .name = "uintList", .element = &mv_qmp_uint};
static const struct mv_qmp_member red_members[] = {{"hue", &mv_qmp_int}, {NULL}};
static const struct mv_qmp_type red = {
    .kind = MV_QMP_OBJECT, .name = "Red", .members = red_members};
static const struct mv_qmp_variant variants[] = {{"red", &red}, {NULL}};
static const struct mv_qmp_member members[] = {{"colour", &colour},
                                               {"sizes", &uints, true},
                                               {"name", &mv_qmp_str, true},
                                               {"on", &mv_qmp_bool, true},
                                               {"at", &mv_qmp_int, true},
                                               {"more", &mv_qmp_any, true},
                                               {NULL}};
static const struct mv_qmp_type thing = {.kind = MV_QMP_OBJECT,
                                         .name = "Thing",
                                         .members = members,
                                         .tag = "colour",
                                         .variants = variants};

/* word: NULL where the value fits, else what the message holds. */
static void expect(const char *text, const char *word)
{
    struct mv_error err = {""};
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    int r = mv_qmp_type_check(&thing, value, &err);
    json_decref(value);
    if (word == NULL && r != 0)
        fail_msg("%s: %s", text, err.text);
    if (word != NULL && (r != -EINVAL || strstr(err.text, word) == NULL))
        fail_msg("%s: %d, no '%s' in: %s", text, r, word, err.text);
}

static void test_check(void **state)
{
    expect("{\"colour\":\"green\"}", NULL);
    expect("{\"colour\":\"green\",\"sizes\":[0,9223372036854775807],\"name\":\"\",\"on\":false,"
           "\"at\":-1,\"more\":[{}]}",
           NULL);
    expect("{}", "'colour' is missing");
    expect("[]", "object");
    expect("{\"colour\":\"blue\"}", "'colour': 'blue' is not one of: red, green");
    expect("{\"colour\":1}", "'colour': a string");
    expect("{\"colour\":\"green\",\"x\":1}", "'x' is unexpected");
    expect("{\"colour\":\"green\",\"sizes\":[1,-1]}", "'sizes': [1]: a positive integer");
    expect("{\"colour\":\"green\",\"sizes\":[1.0]}", "'sizes': [0]: a positive integer");
    expect("{\"colour\":\"green\",\"sizes\":{}}", "'sizes': a list");
    expect("{\"colour\":\"green\",\"at\":1.5}", "'at': an integer");
    expect("{\"colour\":\"green\",\"on\":1}", "'on': true or false");
    expect("{\"colour\":\"green\",\"name\":null}", "'name': a string");
}

static void test_variants(void **state)
{
    expect("{\"colour\":\"red\",\"hue\":2}", NULL);
    expect("{\"colour\":\"red\"}", "'hue' is missing");
    expect("{\"colour\":\"red\",\"hue\":\"x\"}", "'hue': an integer");
    expect("{\"colour\":\"green\",\"hue\":1.5}", "'hue' is unexpected");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_variants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
