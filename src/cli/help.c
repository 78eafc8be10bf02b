/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor help: everything is written from the tables of verbs and options. */
#include "verb.h"

#include "config-text.h"
#include "log.h"
#include "screen.h"

#include <string.h>

#define WIDTH       80
#define HELP_COLUMN 26
#define VERB_COLUMN 18

static void print_row(const char *left, const char *text, unsigned indent)
{
    unsigned used = (unsigned)printf("  %s", left);
    if (used + 2 > indent) {
        putchar('\n');
        used = 0;
    }
    printf("%*s", (int)(indent - used), "");
    mv_screen_print_wrapped(stdout, WIDTH, indent, text);
}

/* A list of what comes in later versions, which begins with its head. */
struct later {
    char text[512];
    bool any;
};

static void add_later(struct later *later, const char *dashes, const char *name)
{
    size_t used = strlen(later->text);
    snprintf(later->text + used, sizeof later->text - used, "%s %s%s",
             later->any ? "," : "In later versions:", dashes, name);
    later->any = true;
}

static void print_later(const struct later *later)
{
    if (later->any) {
        putchar('\n');
        mv_screen_print_wrapped(stdout, WIDTH, 0, later->text);
    }
}

static void print_option(const struct mv_option *option)
{
    char left[128];
    char letter[8] = "    ";
    if (option->letter != '\0')
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(left, sizeof left, "%s--%s%s%s%s%s", letter, option->name,
             option->alias == NULL ? "" : ", --", option->alias == NULL ? "" : option->alias,
             option->argument == NULL ? "" : " ", option->argument == NULL ? "" : option->argument);
    print_row(left, option->help, HELP_COLUMN);
}

static void print_options(const struct mv_option_table *table)
{
    struct later later = {""};
    if (table->word_count > 0)
        printf("\nArguments:\n");
    for (size_t i = 0; i < table->word_count; i++)
        print_row(table->words[i].argument, table->words[i].help, HELP_COLUMN);
    printf("\nOptions:\n");
    const struct mv_option *option;
    for (size_t i = 0; (option = mv_option_at(table, i)) != NULL; i++) {
        if (option->later == NULL)
            print_option(option);
        else
            add_later(&later, "--", option->name);
    }
    print_row("-h, --help", "Show this help.", HELP_COLUMN);
    print_later(&later);
}

/* What -m and --back take behind the comma. */
static void print_backing_keys(void)
{
    printf("\nKeys of a bank, behind commas, such as -m 256M,file=ram.img:\n");
    print_row("    id=NAME", "the bank's name; default ram0, ram1 ... in address order",
              HELP_COLUMN);
    for (const struct mv_backing_key *key = mv_backing_keys; key->key != NULL; key++) {
        char left[128];
        snprintf(left, sizeof left, "    %s=%s", key->key, key->argument);
        print_row(left, key->help, HELP_COLUMN);
    }
}

void mv_help_print_verb(const struct mv_verb *verb)
{
    printf("Usage: %s\n\n%s\n", verb->synopsis, verb->summary);
    if (verb->options != NULL)
        print_options(verb->options);
    if (verb->options == &mv_run_options || verb->options == &mv_restore_options ||
        verb->options == &mv_receive_options)
        print_backing_keys();
    if (verb->notes != NULL)
        printf("\n%s", verb->notes);
}

static void print_all(void)
{
    struct later later = {""};
    printf("memvisor " MV_VERSION " runs arm64 Linux guests on any Linux host.\n\n"
           "Usage: memvisor VERB [OPTION]...\n\n"
           "Verbs:\n");
    for (size_t i = 0; mv_verbs[i] != NULL; i++) {
        if (mv_verbs[i]->later == NULL)
            print_row(mv_verbs[i]->name, mv_verbs[i]->summary, VERB_COLUMN);
        else
            add_later(&later, "", mv_verbs[i]->name);
    }
    print_later(&later);
    printf("\n"
           "'memvisor help VERB' or 'memvisor VERB --help' explains a verb.\n\n"
           "Exit status: 0 success, or the guest powered itself off; 1 an error; 2 wrong\n"
           "usage; 3 the guest reset itself under --no-reboot; 128 plus its number where a\n"
           "signal ended it.\n");
}

static int help(int argc, char **argv)
{
    if (argc == 0 || strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "--help") == 0) {
        print_all();
        return MV_STATUS_OK;
    }
    if (argc > 1) {
        mv_log("unexpected argument '%s': 'memvisor help' takes one verb", argv[1]);
        return MV_STATUS_USAGE;
    }
    const struct mv_verb *verb = mv_verb_find(argv[0]);
    if (verb == NULL)
        return MV_STATUS_USAGE;
    mv_help_print_verb(verb);
    return MV_STATUS_OK;
}

const struct mv_verb mv_help_verb = {.name = "help",
                                     .summary = "Explain memvisor, or one verb.",
                                     .synopsis = "memvisor help [VERB]",
                                     .main = help};

/* --- memvisor version, --version, -V */

static int version(int argc, char **argv)
{
    if (argc > 0) {
        mv_log("unexpected argument '%s': 'memvisor version' takes none", argv[0]);
        return MV_STATUS_USAGE;
    }
    printf("memvisor " MV_VERSION "\n");
    return MV_STATUS_OK;
}

const struct mv_verb mv_version_verb = {.name = "version",
                                        .summary = "Say which version this is.",
                                        .synopsis = "memvisor version",
                                        .main = version};
