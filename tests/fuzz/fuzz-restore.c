/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer against all that a restore makes of a state file whose sums are right: the
 * manifest, the machine that it describes, and what is loaded into its parts.  An input is
 * a byte that says how memory is had, the length of the manifest in three, the manifest, and
 * sections without the end, whose sums are put right.  RAM is a hole.
 */
#include "bytes.h"
#include "fuzz-engine.h"
#include "fuzz-folder.h"
#include "fuzz-sections.h"
#include "fuzz.h"
#include "loop.h"
#include "machine.h"
#include "restore.h"
#include "statefile.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define HEAD      4
#define INPUT_MAX (512 * 1024)
#define RAM       (64 * MV_MIB)
#define STATE     "fuzz.state"

static struct mv_error err;
static struct mv_loop *loop;

/* --- the file */

static void write_file(const uint8_t *manifest, size_t length, uint8_t *sections, size_t size)
{
    static const uint8_t id[MV_STATEFILE_ID_BYTES];
    struct mv_statefile_writer writer;
    int fd = open(STATE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    sum_sections(sections, size);
    CHECK(fd >= 0);
    CHECK(mv_statefile_begin(&writer, fd, id, RAM, (const char *)manifest, length, &err) == 0);
    CHECK(writer.sections.write(writer.sections.opaque, sections, size, &err) == 0);
    writer.sections.written = size;
    CHECK(mv_statefile_end(&writer, &err) == 0);
    close(fd);
}

/* --- what always holds */

static void check_error(void)
{
    CHECK(strncmp(err.text, "'" STATE "': ", strlen("'" STATE "': ")) == 0);
    for (const char *c = err.text; *c != '\0'; c++)
        CHECK((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void restore(enum mv_config_ram ram)
{
    struct mv_config_restore wish = {.file = strdup(STATE), .ram = ram};
    struct mv_restore *state = NULL;
    struct mv_machine *machine = NULL;
    err.text[0] = '\0';
    int r = mv_restore_open(&wish, 0, &state, &err);
    mv_config_restore_free(&wish);
    if (r == 0)
        r = mv_restore_machine(state, loop, NULL, &machine, &err);
    if (r < 0)
        check_error();
    mv_machine_destroy(machine);
    mv_restore_end(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[INPUT_MAX];
    if (size <= HEAD || size > INPUT_MAX)
        return 0;
    size_t left = size - HEAD, length = mv_bytes_get(data + 1, 3);
    memcpy(bytes, data + HEAD, left);
    length = length < left ? length : left;
    write_file(bytes, length, bytes + length, left - length);
    restore(data[0] % 2 == 0 ? MV_RAM_PRIVATE : MV_RAM_COPY);
    return 0;
}

static void tidy_up(void)
{
    unlink(STATE);
    rmdir(folder);
}

/* Its files are where nobody else has any. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    enter_folder(tidy_up);
    return mv_loop_create(&loop, &err);
}
