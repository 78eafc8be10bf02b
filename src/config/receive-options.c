/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of `memvisor receive`, as data: where the guest comes from, and those of restore
 * that replace what its sender says of it.  No state; called by the cli room.
 */
#include "config-text.h"

#include <stdlib.h>

#define TEXT(name) mv_option_set_string, offsetof(struct mv_config_receive, name)
#define FLAG(name) mv_option_set_flag, offsetof(struct mv_config_receive, name)

static const struct mv_option options[] = {
    {"tls", 0, "SPEC", TEXT(tls),
     "Whom to take a guest from over tcp, encrypted: psk=FILE[,identity=NAME], a file of keys as "
     "psktool writes it, or x509=DIR[,name=PEER], a folder with ca-cert.pem, server-cert.pem and "
     "server-key.pem. A sender without the key, or a certificate of that CA, is refused."},
    {"insecure", 0, NULL, FLAG(insecure),
     "Listen at an address that is not of this host alone without --tls: whoever reaches it can "
     "read the guest's memory, or send another guest."},
    {"json", 0, NULL, FLAG(json),
     "Tell in lines of JSON where the sender is awaited, how far the guest is, and what it came "
     "to, on standard output, or on standard error where the console is there."},
    {"resume", 0, NULL, FLAG(resume),
     "Have the VM of that name (-n) wait at the address for the rest of its memory, where the line "
     "broke while that followed; 'memvisor send --resume' sends it. No other option goes with it."},
};

static const struct mv_option words[] = {
    {.argument = "URI",
     .set = mv_option_set_string,
     .offset = offsetof(struct mv_config_receive, uri),
     .help = "Where to await the sender: tcp:HOST:PORT (port 0: a free one, which is told), "
             "unix:PATH, exec:COMMAND, whose output the guest is, fd:N, an open socket or pipe; or "
             "defer: where QMP's migrate-incoming says."},
};

const struct mv_option_table mv_receive_options = {
    .verb = "receive",
    .options = options,
    .count = sizeof options / sizeof options[0],
    .words = words,
    .word_count = 1,
    .words_needed = 1,
    .shared = mv_restore_shared,
};

void mv_config_receive_free(struct mv_config_receive *receive)
{
    mv_config_restore_free(&receive->restore);
    free(receive->uri);
    free(receive->tls);
    *receive = (struct mv_config_receive){0};
}

int mv_config_parse_receive(int argc, char *const *argv, struct mv_config_receive *ret,
                            struct mv_error *err)
{
    struct mv_config_receive receive = {.restore.config.serial = MV_SERIAL_STDIO};
    int r = mv_options_parse(&mv_receive_options, argc, argv, &receive, err);
    if (r == 0)
        r = mv_config_check_restore(&receive.restore, err);
    if (r != 0) {
        mv_config_receive_free(&receive);
        return r;
    }
    *ret = receive;
    return 0;
}
