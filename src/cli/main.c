/* SPDX-License-Identifier: Apache-2.0 */
/* The entry point: finds the verb in the table, runs it, and exits. */
#include "verb.h"

#include "log.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * If the parent closed one of the first three descriptors, the next file that is opened
 * would get its number, and console text would go into that file.
 */
static void open_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static int run_verb(int argc, char **argv)
{
    if (argc < 2) {
        fputs("memvisor: a verb is missing, as in:\n"
              "  memvisor run -k KERNEL [-i INITRD] [-a CMDLINE] [-c CPUS] [-m SIZE[@ADDR]]...\n"
              "'memvisor help' lists all verbs, 'memvisor help run' all options.\n",
              stderr);
        return MV_STATUS_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0)
        name = "help";
    if (strcmp(name, "-V") == 0 || strcmp(name, "--version") == 0)
        name = "version";
    const struct mv_verb *verb = mv_verb_find(name);
    return verb == NULL ? MV_STATUS_USAGE : mv_verb_run(verb, argc - 2, argv + 2);
}

int main(int argc, char **argv)
{
    open_standard_descriptors();
    /*
     * Tables that are large and mostly zero, such as dirty logs, are to cost what is in them.
     * The library raises this threshold by itself once one of them is freed, and from then on
     * has them in its heap, where all of each is touched.
     */
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    /* A reader that goes away is a failed write, not the end of the guest. */
    signal(SIGPIPE, SIG_IGN);
    /* Nor is a file that grows beyond RLIMIT_FSIZE. */
    signal(SIGXFSZ, SIG_IGN);

    int status = run_verb(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        mv_log("cannot write to standard output");
        status = status == MV_STATUS_OK ? MV_STATUS_ERROR : status;
    }
    return status;
}
