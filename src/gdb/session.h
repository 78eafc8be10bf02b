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
#define MV_GDB_PACKET_MAX 16384

/* A text that grows; `failed` once there was no memory. */
struct mv_gdb_text {
    char *bytes;
    size_t len;
    size_t capacity;
    bool failed;
};
void mv_gdb_text_clear(struct mv_gdb_text *text);
void mv_gdb_text_add(struct mv_gdb_text *text, const void *bytes, size_t len);
__attribute__((format(printf, 2, 3))) void mv_gdb_text_print(struct mv_gdb_text *text,
                                                             const char *format, ...);

/* What goes back to the debugger; {0} at first. */
struct mv_gdb_reply {
    struct mv_gdb_text text;
    bool said;   /* there is a packet to send, be it an empty one */
    bool no_ack; /* behind it no packet is acknowledged any more */
    bool close;  /* behind it the connection ends */
};
/* Each adds to the reply, which is a packet from then on. */
void mv_gdb_reply_add(struct mv_gdb_reply *reply, const void *bytes, size_t len);
__attribute__((format(printf, 2, 3))) void mv_gdb_reply_print(struct mv_gdb_reply *reply,
                                                              const char *format, ...);
/* Bytes as hex digits. */
void mv_gdb_reply_hex(struct mv_gdb_reply *reply, const void *bytes, size_t len);
/* An error (positive) in place of what was there. */
void mv_gdb_reply_error(struct mv_gdb_reply *reply, int errnum);
void mv_gdb_reply_clear(struct mv_gdb_reply *reply);

/* The debugger's breakpoints and watchpoints. */
struct mv_gdb_points {
    uint64_t *breaks;
    unsigned break_count;
    struct mv_debug_watch *watches;
    unsigned watch_count;
};

struct mv_gdb_session {
    struct mv_machine *machine;
    bool waiting; /* the debugger waits for a stop */
    bool pausing; /* it pauses the machine itself, so the STOP is no news */
    uint64_t let_go; /* vCPUs that it let run last, a bit each */
    bool physical;
    unsigned general_cpu; /* Hg */
    unsigned stopped_cpu; /* whose stop was told last */
    bool stop_is_debug;   /* it stopped at a point or a step, not from outside */
    struct mv_gdb_text stop_reply;
    struct mv_gdb_points points;
};

/* --- run-control.c */
/* A debugger has come: the machine stands.  It has gone: the machine goes on. */
void mv_gdb_attach(struct mv_gdb_session *session);
void mv_gdb_detach(struct mv_gdb_session *session);
/* Ctrl-C, and what the machine says: where the debugger waits for it, a reply. */
void mv_gdb_interrupt(struct mv_gdb_session *session, struct mv_gdb_reply *reply);
void mv_gdb_machine_event(struct mv_gdb_session *session, enum mv_machine_event event,
                          enum mv_machine_cause cause, struct mv_gdb_reply *reply);
void mv_gdb_machine_debug(struct mv_gdb_session *session, unsigned cpu,
                          struct mv_gdb_reply *reply);
/* The vCPU of a thread id; false for none.  "0" and "-1" are any. */
bool mv_gdb_parse_thread(struct mv_gdb_session *session, const char **text, unsigned *ret_cpu,
                         bool *ret_any);

/* --- commands.c */
/* Serve a whole packet, unescaped and ended by a 0 that does not count. */
void mv_gdb_packet(struct mv_gdb_session *session, char *packet, size_t len,
                   struct mv_gdb_reply *reply);
/* A number in hex at *text, which moves behind it; false where there is none. */
bool mv_gdb_parse_hex(const char **text, uint64_t *ret);
/* Pairs of hex digits into bytes; false where they are not, or not `len` pairs. */
bool mv_gdb_parse_bytes(const char *text, void *bytes, size_t len);

/* --- packets, by what follows their name: run-control.c, registers.c, memory.c, points.c */
typedef void mv_gdb_handler(struct mv_gdb_session *session, const char *arguments,
                            struct mv_gdb_reply *reply);
mv_gdb_handler mv_gdb_why, mv_gdb_continue, mv_gdb_step, mv_gdb_vcont;
mv_gdb_handler mv_gdb_read_registers, mv_gdb_write_registers, mv_gdb_read_register,
    mv_gdb_write_register, mv_gdb_read_features;
mv_gdb_handler mv_gdb_read_memory, mv_gdb_write_memory;
mv_gdb_handler mv_gdb_insert_point, mv_gdb_remove_point;
void mv_gdb_write_binary(struct mv_gdb_session *session, const char *arguments, size_t len,
                         struct mv_gdb_reply *reply);
void mv_gdb_clear_points(struct mv_gdb_session *session);
/* The vCPU that Hg chose. */
struct mv_vcpu *mv_gdb_vcpu(struct mv_gdb_session *session);

#endif
