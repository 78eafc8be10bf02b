/* SPDX-License-Identifier: Apache-2.0 */
/* bus/device.c: paths, order, ownership. */
#include "device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct probe {
    struct mv_device device;
    char name;
};

/* What happened to the probes, one letter each. */
static char journal[64];

static void note(char c)
{
    size_t len = strlen(journal);
    assert_true(len + 1 < sizeof journal);
    journal[len] = c;
    journal[len + 1] = '\0';
}

static void probe_reset(struct mv_device *device)
{
    note(((struct probe *)device)->name);
}

static void probe_destroy(struct mv_device *device)
{
    note(((struct probe *)device)->name);
}

static const struct mv_device_ops probe_ops = {
    .type = "probe",
    .reset = probe_reset,
    .destroy = probe_destroy,
};
static const struct mv_device_ops other_ops = {
    .type = "other",
    .reset = probe_reset,
    .destroy = probe_destroy,
};

static struct mv_device *make(const struct mv_device_ops *ops, char name)
{
    struct probe *probe = mv_device_alloc(sizeof *probe, ops, NULL, NULL, NULL);
    assert_non_null(probe);
    probe->name = name;
    return &probe->device;
}

static int setup(void **state)
{
    journal[0] = '\0';
    return 0;
}

static void test_order(void **state)
{
    struct mv_device_tree tree = {0};
    char path[16] = "a";
    struct mv_device *a = make(&probe_ops, 'a');
    assert_int_equal(mv_device_tree_add(&tree, a, path, NULL), 0);
    path[0] = 'x'; /* the tree has a copy */
    struct mv_device *b = make(&probe_ops, 'b');
    assert_int_equal(mv_device_tree_add(&tree, b, "pci/03.0", NULL), 0);
    struct mv_device *c = make(&probe_ops, 'c');
    assert_int_equal(mv_device_tree_add(&tree, c, "c", NULL), 0);

    assert_ptr_equal(mv_device_tree_find(&tree, "a"), a);
    assert_ptr_equal(mv_device_tree_find(&tree, "pci/03.0"), b);
    assert_null(mv_device_tree_find(&tree, "pci/03"));
    assert_null(mv_device_tree_find(&tree, "x"));

    mv_device_tree_reset(&tree);
    assert_string_equal(journal, "abc");
    journal[0] = '\0';
    mv_device_tree_remove(&tree, b);
    assert_string_equal(journal, "b");
    assert_null(mv_device_tree_find(&tree, "pci/03.0"));
    mv_device_tree_destroy(&tree);
    assert_string_equal(journal, "bca");
    assert_null(tree.first);
}

static void test_taken(void **state)
{
    struct mv_device_tree tree = {0};
    assert_int_equal(mv_device_tree_add(&tree, make(&probe_ops, 'a'), "uart", NULL), 0);
    struct mv_device *second = make(&other_ops, 'b');
    struct mv_error err = {""};
    assert_int_equal(mv_device_tree_add(&tree, second, "uart", &err), -EEXIST);
    assert_non_null(strstr(err.text, "'uart'"));
    assert_non_null(strstr(err.text, "probe"));
    assert_non_null(strstr(err.text, "other"));
    assert_null(second->path);

    /* A device plugged again at a path is told from the one before. */
    uint64_t first_generation = tree.first->generation;
    mv_device_tree_remove(&tree, tree.first);
    assert_int_equal(mv_device_tree_add(&tree, second, "uart", &err), 0);
    assert_int_not_equal(second->generation, first_generation);
    mv_device_tree_destroy(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_order, setup),
        cmocka_unit_test_setup(test_taken, setup),
    };
    return cmocka_run_group_tests_name("device-tree", tests, NULL, NULL);
}
