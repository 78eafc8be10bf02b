/* SPDX-License-Identifier: Apache-2.0 */
/* memvisor help: everything is written from the tables of verbs and options. */
#include "verb.h"

#include "config-text.h"
#include "log.h"

#include <string.h>

#define WIDTH       80
#define HELP_COLUMN 26
#define VERB_COLUMN 18

/* Write words from `column` on, wrapped, each further line indented to `indent`. */
static void print_wrapped(FILE *out, const char *text, int column, int indent)
{
    while (*text != '\0') {
        int len = (int)strcspn(text, " ");
        if (column > indent && column + 1 + len > WIDTH) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", len, text);
        column += len;
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void print_row(FILE *out, const char *left, const char *text, int indent)
{
    int used = fprintf(out, "  %s", left);
    if (used + 2 > indent) {
        fputc('\n', out);
        used = 0;
    }
    fprintf(out, "%*s", indent - used, "");
    print_wrapped(out, text, indent, indent);
}

static void print_option(FILE *out, const struct mv_option *option)
{
    char left[128];
    char letter[8] = "    ";
    if (option->letter != '\0')
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(left, sizeof left, "%s--%s%s%s%s%s", letter, option->name,
             option->alias == NULL ? "" : ", --", option->alias == NULL ? "" : option->alias,
             option->argument == NULL ? "" : " ", option->argument == NULL ? "" : option->argument);
    print_row(out, left, option->help, HELP_COLUMN);
}

static void print_options(FILE *out, const struct mv_option_table *table)
{
    char later[512] = "In later versions:";
    bool any_later = false;
    if (table->word_count > 0)
        fprintf(out, "\nArguments:\n");
    for (size_t i = 0; i < table->word_count; i++)
        print_row(out, table->words[i].argument, table->words[i].help, HELP_COLUMN);
    fprintf(out, "\nOptions:\n");
    for (size_t i = 0; i < table->count; i++) {
        const struct mv_option *option = &table->options[i];
        if (option->later == NULL) {
            print_option(out, option);
            continue;
        }
        size_t used = strlen(later);
        snprintf(later + used, sizeof later - used, "%s --%s", any_later ? "," : "", option->name);
        any_later = true;
    }
    print_row(out, "-h, --help", "Show this help.", HELP_COLUMN);
    if (any_later) {
        fputc('\n', out);
        print_wrapped(out, later, 0, 0);
    }
}

/* What -m and --back take behind the comma. */
static void print_backing_keys(FILE *out)
{
    fprintf(out, "\nKeys of a bank, behind commas, such as -m 256M,file=ram.img:\n");
    print_row(out, "    id=NAME", "the bank's name; default ram0, ram1 ... in address order",
              HELP_COLUMN);
    for (const struct mv_backing_key *key = mv_backing_keys; key->key != NULL; key++) {
        char left[128];
        snprintf(left, sizeof left, "    %s=%s", key->key, key->argument);
        print_row(out, left, key->help, HELP_COLUMN);
    }
}

void mv_help_print_verb(FILE *out, const struct mv_verb *verb)
{
    fprintf(out, "Usage: %s\n\n%s\n", verb->synopsis, verb->summary);
    if (verb->options != NULL)
        print_options(out, verb->options);
    if (verb->options == &mv_run_options)
        print_backing_keys(out);
    if (verb->notes != NULL)
        fprintf(out, "\n%s", verb->notes);
}

static void print_verbs(FILE *out)
{
    char later[512] = "In later versions:";
    bool any_later = false;
    fprintf(out, "Verbs:\n");
    for (size_t i = 0; i < mv_verb_count; i++) {
        const struct mv_verb *verb = &mv_verbs[i];
        if (verb->later == NULL) {
            print_row(out, verb->name, verb->summary, VERB_COLUMN);
            continue;
        }
        size_t used = strlen(later);
        snprintf(later + used, sizeof later - used, "%s %s", any_later ? "," : "", verb->name);
        any_later = true;
    }
    fputc('\n', out);
    print_wrapped(out, later, 0, 0);
}

void mv_help_print_all(FILE *out)
{
    fprintf(out, "memvisor " MV_VERSION " runs arm64 Linux guests on any Linux host.\n\n"
                 "Usage: memvisor VERB [OPTION]...\n\n");
    print_verbs(out);
    fprintf(out, "\n"
                 "'memvisor help VERB' or 'memvisor VERB --help' explains a verb.\n\n"
                 "Exit status: 0 success, or the guest powered itself off; 1 an error; 2 wrong\n"
                 "usage; 3 the guest reset itself under --no-reboot; 128 plus its number where a\n"
                 "signal ended it.\n");
}

void mv_help_print_short(FILE *out)
{
    fprintf(out, "memvisor: a verb is missing, as in:\n"
                 "  memvisor run -k KERNEL [-i INITRD] [-a CMDLINE] [-c CPUS] "
                 "[-m SIZE[@ADDR]]...\n"
                 "'memvisor help' lists all verbs, 'memvisor help run' all options.\n");
}

int mv_help_main(int argc, char **argv)
{
    if (argc == 0 || strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "--help") == 0) {
        mv_help_print_all(stdout);
        return MV_STATUS_OK;
    }
    if (argc > 1) {
        mv_log("unexpected argument '%s': 'memvisor help' takes one verb", argv[1]);
        return MV_STATUS_USAGE;
    }
    const struct mv_verb *verb = mv_verb_find(argv[0]);
    if (verb == NULL || verb->later != NULL)
        return mv_verb_refuse(argv[0]);
    mv_help_print_verb(stdout, verb);
    return MV_STATUS_OK;
}

/* --- memvisor version, --version, -V */

int mv_version_main(int argc, char **argv)
{
    if (argc > 0) {
        mv_log("unexpected argument '%s': 'memvisor version' takes none", argv[0]);
        return MV_STATUS_USAGE;
    }
    printf("memvisor " MV_VERSION "\n");
    return MV_STATUS_OK;
}
