/* SPDX-License-Identifier: Apache-2.0 */
/* migration/output-file.c: the old file or the new one, and nothing beside it. */
#include "output-file.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char path[128];
static struct mv_output_file *file;
static struct mv_error err;

static int setup(void **state)
{
    strcpy(folder, "/tmp/memvisor-output-XXXXXX");
    file = NULL;
    err.text[0] = '\0';
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/state", folder);
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    mv_output_file_destroy(file);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static void put(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void expect_text(const char *where, const char *text)
{
    char has[64] = "";
    FILE *f = fopen(where, "r");
    assert_non_null(f);
    assert_true(fgets(has, sizeof has, f) != NULL || *text == '\0');
    fclose(f);
    assert_string_equal(has, text);
}

static unsigned count_files(void)
{
    unsigned count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

static void create(void)
{
    if (mv_output_file_create(path, &file, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(write(mv_output_file_fd(file), "new", 3), 3);
    assert_string_equal(mv_output_file_path(file), path);
}

static void test_a_new_file(void **state)
{
    struct stat st;
    create();
    assert_int_equal(count_files(), 0);
    assert_int_equal(mv_output_file_commit(file, &err), 0);
    assert_int_equal(count_files(), 1);
    expect_text(path, "new");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_in_place_of_another(void **state)
{
    struct stat st;
    put("old");
    chmod(path, 0640);
    create();
    expect_text(path, "old");
    assert_int_equal(mv_output_file_commit(file, &err), 0);
    expect_text(path, "new");
    assert_int_equal(count_files(), 1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void test_what_is_not_committed_is_gone(void **state)
{
    put("old");
    create();
    mv_output_file_destroy(file);
    file = NULL;
    expect_text(path, "old");
    assert_int_equal(count_files(), 1);
}

static void test_a_link_stays(void **state)
{
    char target[128];
    struct stat st;
    snprintf(target, sizeof target, "%s/target", folder);
    put("old");
    assert_int_equal(rename(path, target), 0);
    assert_int_equal(symlink("target", path), 0);
    create();
    assert_int_equal(mv_output_file_commit(file, &err), 0);
    expect_text(target, "new");
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(count_files(), 2);
}

static void test_what_is_no_file(void **state)
{
    static const char *const paths[] = {"/dev/null", "/tmp", ".", "/", ""};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_int_equal(mv_output_file_create(paths[i], &file, &err), -EINVAL);
        assert_non_null(strstr(err.text, "is no file"));
    }
    strcat(path, "/below/state");
    assert_int_equal(mv_output_file_create(path, &file, &err), -ENOENT);
    assert_non_null(strstr(err.text, path));
    assert_null(file);
}

static int touch(const char *name)
{
    char where[128];
    snprintf(where, sizeof where, "%s/%s", folder, name);
    int fd = open(where, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static bool is_there(const char *name)
{
    char where[128];
    snprintf(where, sizeof where, "%s/%s", folder, name);
    return access(where, F_OK) == 0;
}

/* Of processes that are gone, and nothing else. */
static void test_leftovers(void **state)
{
    static const char *const others[] = {".memvisor-0123456789abcde.tmp", ".memvisor-state.tmp",
                                         ".memvisor-0123456789abcdeg.tmp", "other.tmp",
                                         ".memvisor-0123456789abcdef.tmp2"};
    static const char gone[] = ".memvisor-0123456789abcdef.tmp";
    static const char lives[] = ".memvisor-1123456789abcdef.tmp";
    static const char is_folder[] = ".memvisor-2123456789abcdef.tmp";
    char where[128];
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        close(touch(others[i]));
    close(touch(gone));
    int fd = touch(lives);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    snprintf(where, sizeof where, "%s/%s", folder, is_folder);
    assert_int_equal(mkdir(where, 0700), 0);
    create();
    assert_false(is_there(gone));
    assert_true(is_there(lives) && is_there(is_folder));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_true(is_there(others[i]));
    assert_int_equal(mv_output_file_commit(file, &err), 0);
    /* What is complete is nobody's, though its descriptor goes on. */
    int own = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(own, LOCK_EX | LOCK_NB), 0);
    close(own);
    mv_output_file_destroy(file);
    close(fd);
    create();
    assert_false(is_there(lives));
}

/* The folder is gone when all is written. */
static void test_the_end_fails(void **state)
{
    create();
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(mv_output_file_commit(file, &err), -ENOENT);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(mkdir(folder, 0700), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_new_file),
        TEST(test_in_place_of_another),
        TEST(test_what_is_not_committed_is_gone),
        TEST(test_a_link_stays),
        TEST(test_what_is_no_file),
        TEST(test_leftovers),
        TEST(test_the_end_fails),
    };
    return cmocka_run_group_tests_name("output-file", tests, NULL, NULL);
}
