/* SPDX-License-Identifier: Apache-2.0 */
/* cli/rundir.c: one VM a name, and folders of the dead. */
#include "rundir.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char base[64];

static int make_base(void **state)
{
    strcpy(base, "/tmp/mv-test-rundir-XXXXXX");
    assert_non_null(mkdtemp(base));
    setenv("XDG_RUNTIME_DIR", base, 1);
    return 0;
}

static int remove_base(void **state)
{
    char path[128];
    snprintf(path, sizeof path, "%s/memvisor", base);
    rmdir(path);
    /* Fails, and with it the test, where anything was left over. */
    return rmdir(base);
}

static const char *in_base(const char *rest)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/memvisor/%s", base, rest);
    return path;
}

static bool exists(const char *rest)
{
    struct stat st;
    return lstat(in_base(rest), &st) == 0;
}

static void test_life(void **state)
{
    struct mv_rundir *a = NULL, *b = NULL;
    struct mv_error err = {""};
    struct stat st;
    char text[32] = "", own[32];

    assert_int_equal(mv_rundir_create("one", &a, &err), 0);
    char *pid_path = mv_rundir_file(a, "pid");
    assert_string_equal(pid_path, in_base("one/pid"));
    free(pid_path);
    assert_int_equal(stat(in_base("one"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    FILE *f = fopen(in_base("one/pid"), "r");
    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    fclose(f);
    snprintf(own, sizeof own, "%d\n", (int)getpid());
    assert_string_equal(text, own);

    assert_int_equal(mv_rundir_create("one", &b, &err), -EEXIST);
    assert_null(b);
    own[strlen(own) - 1] = '\0';
    assert_non_null(strstr(err.text, "'one'"));
    assert_non_null(strstr(err.text, own));
    assert_non_null(strstr(err.text, "-n"));
    assert_true(exists("one/pid"));

    assert_int_equal(mv_rundir_create("two", &b, &err), 0);
    mv_rundir_destroy(a);
    assert_false(exists("one"));
    assert_true(exists("two/pid"));
    mv_rundir_destroy(b);
    mv_rundir_destroy(NULL);
}

static void test_links(void **state)
{
    static const char *const refused[] = {"", ".", "..", "a/../b", "a/", "/a", "a//b", "../pid"};
    struct mv_rundir *a = NULL;
    struct mv_error err = {""};
    char target[32] = "";
    assert_int_equal(mv_rundir_create("one", &a, &err), 0);
    assert_int_equal(mv_rundir_link_block(a, "ram0", "/some/file", &err), 0);
    assert_int_equal(mv_rundir_link_block(a, "pci/03.0/bar2", "/another", &err), 0);
    assert_int_equal(mv_rundir_link_block(a, "pci/03.0/bar4", "/one more", &err), 0);
    assert_true(readlink(in_base("one/ram/pci/03.0/bar2"), target, sizeof target - 1) > 0);
    assert_string_equal(target, "/another");
    assert_int_equal(mv_rundir_link_block(a, "ram0", "/other", &err), -EEXIST);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_int_equal(mv_rundir_link_block(a, refused[i], "/x", &err), -EINVAL);
    mv_rundir_destroy(a);
    assert_false(exists("one"));
}

/* A process that dies leaves its folder, with whatever is in it. */
static void test_stale_folder(void **state)
{
    struct mv_error err = {""};
    pid_t child = fork();
    if (child == 0) {
        struct mv_rundir *rundir;
        _exit(mv_rundir_create("dead", &rundir, &err) == 0 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(exists("dead/pid"));
    assert_int_equal(mkdir(in_base("dead/ram"), 0700), 0);
    assert_int_equal(mkdir(in_base("dead/ram/pci"), 0700), 0);
    assert_int_equal(symlink("/nonexistent", in_base("dead/ram/pci/bar2")), 0);
    assert_int_equal(symlink(base, in_base("dead/outside")), 0);

    struct mv_rundir *rundir = NULL;
    assert_int_equal(mv_rundir_create("dead", &rundir, &err), 0);
    assert_true(exists("dead/pid"));
    assert_false(exists("dead/ram"));
    assert_false(exists("dead/outside"));
    mv_rundir_destroy(rundir);
    assert_false(exists("dead"));
}

/* Whoever lists VMs removes folders that are nobody's, and a VM that begins makes its own anew. */
static void test_beside_one_who_lists(void **state)
{
    struct mv_error err = {""};
    pid_t child = fork();
    while (child == 0) {
        struct mv_rundir_vm *vms = NULL;
        size_t count = 0;
        if (mv_rundir_list(&vms, &count, &err) == 0)
            mv_rundir_list_free(vms, count);
    }
    for (unsigned i = 0; i < 1000; i++) {
        struct mv_rundir *rundir = NULL;
        int r = mv_rundir_create("one", &rundir, &err);
        if (r < 0)
            kill(child, SIGKILL);
        assert_string_equal(err.text, "");
        assert_int_equal(r, 0);
        assert_true(exists("one/pid"));
        mv_rundir_destroy(rundir);
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void test_folders_of_others(void **state)
{
    struct mv_error err = {""};
    struct mv_rundir *rundir = NULL;
    char path[128];
    snprintf(path, sizeof path, "%s/memvisor", base);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_int_equal(mv_rundir_create("x", &rundir, &err), -EPERM);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, 0777), 0);
    assert_int_equal(mv_rundir_create("x", &rundir, &err), -EPERM);
    assert_non_null(strstr(err.text, path));
    assert_null(rundir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_links, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_stale_folder, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_beside_one_who_lists, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_folders_of_others, make_base, remove_base),
    };
    return cmocka_run_group_tests_name("rundir", tests, NULL, NULL);
}
