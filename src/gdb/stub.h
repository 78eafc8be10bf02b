/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the gdb room among themselves.  server.c has the connection and
 * packets, commands.c the table of packets, run-control.c what runs and why it
 * stopped, registers.c and memory.c what a debugger reads and writes, points.c
 * its breakpoints.  All of it is the main thread's.
 *
 * The protocol is that of GDB's manual, appendix E, "Remote Serial Protocol".
 */
#ifndef MV_GDB_STUB_H
#define MV_GDB_STUB_H

#include "engine.h"
#include "gdb.h"
#include "listener.h"
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
/* Bytes as hex digits. */
void mv_gdb_text_hex(struct mv_gdb_text *text, const void *bytes, size_t len);

/* The debugger's breakpoints and watchpoints. */
struct mv_gdb_points {
    uint64_t *breaks;
    unsigned break_count;
    struct mv_debug_watch *watches;
    unsigned watch_count;
};

struct mv_gdb {
    struct mv_loop *loop;
    struct mv_machine *machine;
    struct mv_machine_observer observer;
    char *socket_path; /* to be unlinked, or NULL */
    struct mv_listener listener;

    /* --- the connection */
    int fd; /* -1: nobody is connected */
    struct mv_loop_source *source;
    struct mv_gdb_text output; /* not sent yet */
    char *input;               /* a packet's bytes so far, MV_GDB_PACKET_MAX */
    size_t input_len;
    int input_state;
    uint8_t input_sum;  /* of the bytes so far */
    uint8_t input_said; /* the checksum's first digit, then all of it */
    bool input_long;    /* the packet is too long: it is dropped */
    bool no_ack;
    bool closing;
    bool taking;             /* input is being looked at: answers go out together behind it */
    struct mv_gdb_text last; /* the last packet, for a '-' */
    bool refused;            /* that a second one came was logged */

    /* --- the target */
    bool waiting; /* the debugger waits for a stop */
    bool pausing; /* this stub pauses the machine, so the STOP is no news */
    uint64_t let_go; /* vCPUs that it let run last, a bit each */
    bool physical;
    unsigned general_cpu; /* Hg */
    unsigned stopped_cpu; /* whose stop was told last */
    bool stop_is_debug;   /* it stopped at a point or a step, not from outside */
    struct mv_gdb_text stop_reply;
    struct mv_gdb_points points;
};

/* --- server.c */
/* Send one packet. */
void mv_gdb_send(struct mv_gdb *gdb, const char *bytes, size_t len);
void mv_gdb_send_string(struct mv_gdb *gdb, const char *text);
void mv_gdb_send_text(struct mv_gdb *gdb, struct mv_gdb_text *text); /* clears it */
void mv_gdb_send_error(struct mv_gdb *gdb, int errnum);
/* Close the connection once what waits is sent. */
void mv_gdb_close(struct mv_gdb *gdb);

/* --- commands.c */
/* A whole packet, unescaped and ended by a 0 that does not count. */
void mv_gdb_packet(struct mv_gdb *gdb, char *packet, size_t len);
/* A number in hex at *text, which moves behind it; false where there is none. */
bool mv_gdb_parse_hex(const char **text, uint64_t *ret);
/* Pairs of hex digits into bytes; false where they are not, or not `len` pairs. */
bool mv_gdb_parse_bytes(const char *text, void *bytes, size_t len);

/* --- run-control.c: packets, and what the machine says */
void mv_gdb_attach(struct mv_gdb *gdb);
void mv_gdb_detach(struct mv_gdb *gdb);
void mv_gdb_interrupt(struct mv_gdb *gdb);
void mv_gdb_continue(struct mv_gdb *gdb, const char *arguments);
void mv_gdb_step(struct mv_gdb *gdb, const char *arguments);
void mv_gdb_vcont(struct mv_gdb *gdb, const char *arguments);
void mv_gdb_why(struct mv_gdb *gdb, const char *arguments);
void mv_gdb_on_event(void *opaque, enum mv_machine_event event, enum mv_machine_cause cause);
void mv_gdb_on_debug(void *opaque, unsigned cpu);
/* The vCPU of a thread id; false for none.  "0" and "-1" are any. */
bool mv_gdb_parse_thread(struct mv_gdb *gdb, const char **text, unsigned *ret_cpu, bool *ret_any);

/* --- registers.c */
void mv_gdb_read_registers(struct mv_gdb *gdb, const char *arguments);
void mv_gdb_write_registers(struct mv_gdb *gdb, const char *arguments);
void mv_gdb_read_register(struct mv_gdb *gdb, const char *arguments);
void mv_gdb_write_register(struct mv_gdb *gdb, const char *arguments);
void mv_gdb_read_features(struct mv_gdb *gdb, const char *arguments);
struct mv_vcpu *mv_gdb_vcpu(struct mv_gdb *gdb);

/* --- memory.c */
void mv_gdb_read_memory(struct mv_gdb *gdb, const char *arguments);
void mv_gdb_write_memory(struct mv_gdb *gdb, const char *arguments);
void mv_gdb_write_binary(struct mv_gdb *gdb, const char *arguments, size_t len);

/* --- points.c */
void mv_gdb_insert_point(struct mv_gdb *gdb, const char *arguments);
void mv_gdb_remove_point(struct mv_gdb *gdb, const char *arguments);
void mv_gdb_clear_points(struct mv_gdb *gdb);

#endif
