/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel-user: for each line "URI [TLS]" of its input, listens there, connects, sends some
 * bytes both ways and finishes, all of it in two threads, as the two sides of a move would.
 * It answers with "done", or with what did not work, in one line for each side that says so.
 * For tests/vm/test_nth_channel.py, which has its calls fail.
 *
 * "listen URI [TLS]" and "send URI [TLS]" are one side alone, which reads or writes for as
 * long as the other is there: tests/interop/test_channel.py has other programs there, or
 * takes the host away.
 */
#include "channel.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES  (300 * 1024)
#define MINUTE UINT64_C(60000000000)

struct side {
    struct mv_channel *channel;
    uint8_t bytes[BYTES];
    int result;
    struct mv_error err;
};

static struct side sides[2];
static struct mv_channel_tls *tls[2]; /* connects, listens */
static struct mv_channel_listener *listener;
static atomic_bool cancelled;

/* Half of the bytes before the other side's, so that each waits for the other once. */
static int use(struct side *side)
{
    int r = mv_channel_write(side->channel, side->bytes, BYTES / 2, &side->err);
    if (r == 0)
        r = mv_channel_read(side->channel, side->bytes, BYTES / 2, &side->err);
    return r == 0 ? mv_channel_finish(side->channel, MINUTE, &side->err) : r;
}

/* What does not end by itself, since the other side waits for it, is ended. */
static void leave(struct side *side, int r)
{
    side->result = r;
    if (r < 0)
        atomic_store(&cancelled, true);
    mv_channel_close(side->channel);
    side->channel = NULL;
}

static void *accept_side(void *opaque)
{
    struct side *side = &sides[1];
    int r = mv_channel_accept(listener, &cancelled, &side->channel, &side->err);
    /* Whoever connected and was not accepted is not to wait for it. */
    mv_channel_listener_close(listener);
    leave(side, r == 0 ? use(side) : r);
    return NULL;
}

static int connect_side(const char *uri)
{
    struct side *side = &sides[0];
    int r = mv_channel_connect(uri, tls[0], MINUTE, &cancelled, &side->channel, &side->err);
    leave(side, r == 0 ? use(side) : r);
    return r;
}

static void use_both(const char *uri)
{
    static char found[512];
    pthread_t thread;
    int r = mv_channel_listen(uri, tls[1], false, &listener, &sides[1].err);
    if (r == 0) {
        snprintf(found, sizeof found, "%s", mv_channel_listener_uri(listener));
        r = -pthread_create(&thread, NULL, accept_side, NULL);
        if (r == 0) {
            connect_side(found);
            pthread_join(thread, NULL);
            return;
        }
        mv_error_set_errno(&sides[1].err, -r, "no thread");
        mv_channel_listener_close(listener);
    }
    sides[1].result = r;
}

static void use_tls(const char *uri, const char *text)
{
    for (int i = 0; i < 2; i++)
        sides[i].result = mv_channel_tls_open(text, i == 1, &tls[i], &sides[i].err);
    if (sides[0].result == 0 && sides[1].result == 0)
        use_both(uri);
    for (int i = 0; i < 2; i++) {
        mv_channel_tls_close(tls[i]);
        tls[i] = NULL;
    }
}

/* "URI [TLS]", until the stream breaks. */
static void use_one(char *uri, bool listens)
{
    struct side *side = &sides[listens];
    int r = 0;
    char *text = strchr(uri, ' ');
    if (text != NULL) {
        *text++ = '\0';
        r = mv_channel_tls_open(text, listens, &tls[listens], &side->err);
    }
    if (r == 0)
        r = listens ? mv_channel_listen(uri, tls[1], true, &listener, &side->err)
                    : mv_channel_connect(uri, tls[0], MINUTE, NULL, &side->channel, &side->err);
    if (r == 0 && listens) {
        printf("listening %s\n", mv_channel_listener_uri(listener));
        r = mv_channel_accept(listener, NULL, &side->channel, &side->err);
        mv_channel_listener_close(listener);
    }
    if (r == 0)
        printf("connected\n");
    while (r == 0)
        r = listens ? mv_channel_read(side->channel, side->bytes, BYTES, &side->err)
                    : mv_channel_write(side->channel, side->bytes, BYTES, &side->err);
    leave(side, r);
    mv_channel_tls_close(tls[listens]);
    tls[listens] = NULL;
}

int main(void)
{
    static char line[512], in[4096], out[4096];
    signal(SIGPIPE, SIG_IGN);
    unsetenv("LD_PRELOAD"); /* a command's own calls do not count */
    setvbuf(stdin, in, _IOFBF, sizeof in);
    setvbuf(stdout, out, _IOLBF, sizeof out);
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *text = strchr(line, ' ');
        atomic_store(&cancelled, false);
        for (int i = 0; i < 2; i++) {
            sides[i].result = 0;
            sides[i].err.text[0] = '\0';
        }
        if (text != NULL)
            *text++ = '\0';
        if (strcmp(line, "listen") == 0 || strcmp(line, "send") == 0)
            use_one(text, *line == 'l');
        else if (text != NULL)
            use_tls(line, text);
        else if (strncmp(line, "exec:", 5) == 0)
            connect_side(line);
        else
            use_both(line);
        for (int i = 0; i < 2; i++)
            if (sides[i].result < 0)
                printf("%s\n", sides[i].err.text);
        printf("done\n");
    }
    return 0;
}
