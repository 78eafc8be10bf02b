/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_gdb_session: what one debugger has asked for, and the parts of the
 * gdb room among themselves.  server.c alone knows the socket: it hands each
 * packet to mv_gdb_packet and sends the reply that this fills.  commands.c has
 * the table of packets, run-control.c what runs and why it stopped, registers.c
 * and memory.c what a debugger reads and writes, points.c its breakpoints.
 * All of it is the main thread's.
 *
 * The protocol is that of GDB's manual, appendix E, "Remote Serial Protocol".
 */
#ifndef MV_GDB_SESSION_H
#define MV_GDB_SESSION_H

#include "engine.h"
#include "machine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the longest packet, as qSupported tells it. */
#define MV_GDB_PACKET_MAX 0x4000
/* The most breakpoints and watchpoints together. */
#define MV_GDB_POINTS_MAX 4096

/* A text that grows; `failed` once there was no memory. */
struct mv_gdb_text {
    char *bytes;
    size_t len;
    size_t capacity;
    bool failed;
};

struct mv_gdb_session {
    struct mv_machine *machine;
    /*
     * To what is being served.  An event of the machine clears it, also one that a
     * packet's handler brings about: that adds its own after it has the machine do things.
     */
    struct mv_gdb_text reply;
    const char *packet_end; /* of that, where its bytes are no text */
    bool no_ack;            /* no packet is acknowledged any more */
    bool closing;           /* behind the reply the connection ends */
    bool waiting;           /* the debugger waits for a stop */
    bool pausing;           /* it pauses the machine itself, so the STOP is no news */
    uint64_t let_go;        /* vCPUs that it let run last, a bit each */
    bool physical;
    unsigned general_cpu; /* Hg */
    unsigned stopped_cpu; /* whose stop was told last */
    bool stop_is_debug;   /* it stopped at a point or a step, not from outside */
    char stop_reply[96];
    uint64_t breaks[MV_GDB_POINTS_MAX];
    struct mv_debug_watch watches[MV_GDB_POINTS_MAX];
    unsigned break_count, watch_count;
};

/* --- run-control.c */
/* A debugger has come: the machine stands.  It has gone: the machine goes on. */
void mv_gdb_attach(struct mv_gdb_session *session);
void mv_gdb_detach(struct mv_gdb_session *session);
/* Ctrl-C, and what the machine says: whether the debugger gets a packet, the reply. */
bool mv_gdb_interrupt(struct mv_gdb_session *session);
bool mv_gdb_machine_event(struct mv_gdb_session *session, enum mv_machine_event event,
                          enum mv_machine_cause cause);
bool mv_gdb_machine_debug(struct mv_gdb_session *session, unsigned cpu);
/* The vCPU of a thread id; false for none.  "0" and "-1" are any. */
bool mv_gdb_parse_thread(struct mv_gdb_session *session, const char **text, unsigned *ret_cpu,
                         bool *ret_any);

/* --- commands.c */
void mv_gdb_text_clear(struct mv_gdb_text *text);
void mv_gdb_text_add(struct mv_gdb_text *text, const void *bytes, size_t len);
__attribute__((format(printf, 2, 3))) void mv_gdb_text_print(struct mv_gdb_text *text,
                                                             const char *format, ...);
/* Bytes as hex digits. */
void mv_gdb_text_hex(struct mv_gdb_text *text, const void *bytes, size_t len);
/* Serve a whole packet, unescaped and ended by a 0 that does not count: whether to reply. */
bool mv_gdb_packet(struct mv_gdb_session *session, const char *packet, size_t len);
/* The reply is an error (positive) in place of what was there. */
void mv_gdb_reply_error(struct mv_gdb_session *session, int errnum);
/* What a digit of hex stands for, or -1. */
int mv_gdb_digit(char c);
/* A number in hex at *text, which moves behind it; false where there is none. */
bool mv_gdb_parse_hex(const char **text, uint64_t *ret);
/* Pairs of hex digits into bytes; false where they are not, or not `len` pairs. */
bool mv_gdb_parse_bytes(const char *text, void *bytes, size_t len);

/*
 * --- packets, by what follows their name: run-control.c, registers.c, memory.c, points.c.
 * What they add to the reply is sent, be it nothing; or MV_GDB_OK, MV_GDB_SILENT, or a
 * negative errno.
 */
enum { MV_GDB_OK = 1, MV_GDB_SILENT };
typedef int mv_gdb_handler(struct mv_gdb_session *session, const char *arguments);
mv_gdb_handler mv_gdb_why, mv_gdb_continue, mv_gdb_step, mv_gdb_vcont;
mv_gdb_handler mv_gdb_read_registers, mv_gdb_write_registers, mv_gdb_read_register,
    mv_gdb_write_register, mv_gdb_read_features;
mv_gdb_handler mv_gdb_read_memory, mv_gdb_write_memory, mv_gdb_write_binary;
mv_gdb_handler mv_gdb_insert_point, mv_gdb_remove_point;
void mv_gdb_clear_points(struct mv_gdb_session *session);
/* The vCPU that Hg chose. */
struct mv_vcpu *mv_gdb_vcpu(struct mv_gdb_session *session);

#endif
