/* SPDX-License-Identifier: Apache-2.0 */
#include "channel-address.h"

#include "channel.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMS "tcp:HOST:PORT, unix:PATH, exec:COMMAND, fd:N or fd:IN,OUT"

typedef int parse_fn(const char *uri, const char *rest, bool listens,
                     struct mv_channel_address *address, struct mv_error *err);

/* Digits alone, up to max: the number, or -1. */
static int parse_number(const char *text, size_t len, int max)
{
    int value = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || value > (max - (text[i] - '0')) / 10)
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return len == 0 ? -1 : value;
}

/* Characters that stand in no name and no address of a host. */
static bool is_host(const char *text, size_t len, bool bracketed)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c == 0x7f || strchr("/[]@,", c) != NULL || (c == ':' && !bracketed))
            return false;
    }
    return len <= MV_CHANNEL_HOST_MAX;
}

static int parse_tcp(const char *uri, const char *rest, bool listens,
                     struct mv_channel_address *address, struct mv_error *err)
{
    const char *host = rest, *colon = strrchr(rest, ':');
    if (colon == NULL || (*rest == '[' && (colon < rest + 2 || colon[-1] != ']')))
        return mv_error_set(err, EINVAL,
                            "'%s': there is no port: write tcp:HOST:PORT, such as "
                            "tcp:192.0.2.7:4444 or tcp:[2001:db8::7]:4444",
                            uri);
    size_t len = (size_t)(colon - host);
    bool bracketed = *host == '[';
    if (bracketed) {
        host++;
        len -= 2;
    } else if (memchr(host, ':', len) != NULL) {
        return mv_error_set(err, EINVAL,
                            "'%s': where does the host end? Write an IPv6 address in brackets, "
                            "such as tcp:[2001:db8::7]:4444",
                            uri);
    }
    if (!is_host(host, len, bracketed) || (bracketed && len == 0))
        return mv_error_set(err, EINVAL, "'%s': '%.*s' is no name or address of a host", uri,
                            (int)len, host);
    if (len == 0 && !listens)
        return mv_error_set(err, EINVAL,
                            "'%s': there is no host to connect to: write tcp:HOST:PORT", uri);
    int port = parse_number(colon + 1, strlen(colon + 1), 65535);
    if (port < 0 || (port == 0 && !listens))
        return mv_error_set(err, EINVAL, "'%s': port '%s' is none: it is a number from %d to 65535",
                            uri, colon + 1, listens ? 0 : 1);
    memcpy(address->host, host, len);
    snprintf(address->port, sizeof address->port, "%d", (uint16_t)port);
    return 0;
}

static int parse_unix(const char *uri, const char *rest, bool listens,
                      struct mv_channel_address *address, struct mv_error *err)
{
    if (*rest == '\0')
        return mv_error_set(err, EINVAL, "'%s': there is no path: write unix:PATH", uri);
    address->rest = rest;
    return 0;
}

static int parse_exec(const char *uri, const char *rest, bool listens,
                      struct mv_channel_address *address, struct mv_error *err)
{
    if (rest[strspn(rest, " \t\n")] == '\0')
        return mv_error_set(err, EINVAL,
                            "'%s': there is no command: write exec:COMMAND, such as "
                            "'exec:ssh HOST memvisor receive fd:0,1'",
                            uri);
    address->rest = rest;
    return 0;
}

static int parse_fd(const char *uri, const char *rest, bool listens,
                    struct mv_channel_address *address, struct mv_error *err)
{
    const char *comma = strchr(rest, ',');
    size_t len = comma == NULL ? strlen(rest) : (size_t)(comma - rest);
    int in = parse_number(rest, len, INT_MAX);
    int out = comma == NULL ? in : parse_number(comma + 1, strlen(comma + 1), INT_MAX);
    if (in < 0 || out < 0)
        return mv_error_set(err, EINVAL,
                            "'%s': that is no descriptor: write fd:N, or fd:IN,OUT for one that is "
                            "read and one that is written",
                            uri);
    address->in_fd = in;
    address->out_fd = out;
    return 0;
}

static const struct {
    const char *scheme;
    parse_fn *parse;
} kinds[] = {
    [MV_CHANNEL_TCP] = {"tcp:", parse_tcp},
    [MV_CHANNEL_UNIX] = {"unix:", parse_unix},
    [MV_CHANNEL_EXEC] = {"exec:", parse_exec},
    [MV_CHANNEL_FD] = {"fd:", parse_fd},
};

int mv_channel_address_parse(const char *uri, bool listens, struct mv_channel_address *ret,
                             struct mv_error *err)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t len = strlen(kinds[i].scheme);
        if (strncmp(uri, kinds[i].scheme, len) != 0)
            continue;
        struct mv_channel_address address = {
            .kind = (enum mv_channel_kind)i, .in_fd = -1, .out_fd = -1};
        int r = kinds[i].parse(uri, uri + len, listens, &address, err);
        if (r == 0)
            *ret = address;
        return r;
    }
    return mv_error_set(err, EINVAL, "'%s': that is no address of a stream: write " FORMS, uri);
}

int mv_channel_check(const char *uri, bool listens, struct mv_error *err)
{
    struct mv_channel_address address;
    return mv_channel_address_parse(uri, listens, &address, err);
}

bool mv_channel_is_shared(const char *uri)
{
    struct mv_channel_address address;
    return mv_channel_address_parse(uri, true, &address, NULL) == 0 &&
           (address.kind == MV_CHANNEL_TCP || address.kind == MV_CHANNEL_UNIX);
}
