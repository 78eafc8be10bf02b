/* SPDX-License-Identifier: Apache-2.0 */
/* The packets that there are, as one table, and the small ones among them. */
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool mv_gdb_parse_hex(const char **text, uint64_t *ret)
{
    uint64_t value = 0;
    const char *c = *text;
    for (; (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'f') || (*c >= 'A' && *c <= 'F'); c++) {
        if (value >> 60)
            return false;
        value = value << 4 | (unsigned)(*c <= '9' ? *c - '0' : (*c | 0x20) - 'a' + 10);
    }
    if (c == *text)
        return false;
    *text = c;
    *ret = value;
    return true;
}

bool mv_gdb_parse_bytes(const char *text, void *bytes, size_t len)
{
    uint8_t *to = bytes;
    for (size_t i = 0; i < len; i++) {
        char pair[3] = {text[2 * i], text[2 * i] ? text[2 * i + 1] : '\0', '\0'};
        const char *next = pair;
        uint64_t value;
        if (!mv_gdb_parse_hex(&next, &value) || next != pair + 2)
            return false;
        to[i] = (uint8_t)value;
    }
    return true;
}

/* --- questions */

static void supported(struct mv_gdb_session *session, const char *arguments,
                      struct mv_gdb_reply *reply)
{
    mv_gdb_reply_print(reply,
                       "PacketSize=%x;qXfer:features:read+;QStartNoAckMode+;vContSupported+;"
                       "qemu.PhyMemMode+",
                       MV_GDB_PACKET_MAX);
}

static void start_no_ack(struct mv_gdb_session *session, const char *arguments,
                         struct mv_gdb_reply *reply)
{
    mv_gdb_reply_print(reply, "OK");
    reply->no_ack = true;
}

static void thread_list(struct mv_gdb_session *session, const char *arguments,
                        struct mv_gdb_reply *reply)
{
    for (unsigned i = 0; i < mv_machine_cpu_count(session->machine); i++)
        mv_gdb_reply_print(reply, "%c%x", i == 0 ? 'm' : ',', i + 1);
}

static void thread_list_end(struct mv_gdb_session *session, const char *arguments,
                            struct mv_gdb_reply *reply)
{
    mv_gdb_reply_print(reply, "l");
}

static void thread_info(struct mv_gdb_session *session, const char *arguments,
                        struct mv_gdb_reply *reply)
{
    unsigned cpu;
    bool any;
    char name[32];
    if (!mv_gdb_parse_thread(session, &arguments, &cpu, &any)) {
        mv_gdb_reply_error(reply, EINVAL);
        return;
    }
    bool on = mv_machine_cpu_is_on(session->machine, cpu);
    int len = snprintf(name, sizeof name, "CPU %u%s", cpu, on ? "" : " (off)");
    mv_gdb_reply_hex(reply, name, (size_t)len);
}

static void current_thread(struct mv_gdb_session *session, const char *arguments,
                           struct mv_gdb_reply *reply)
{
    mv_gdb_reply_print(reply, "QC%x", session->stopped_cpu + 1);
}

static void attached(struct mv_gdb_session *session, const char *arguments,
                     struct mv_gdb_reply *reply)
{
    mv_gdb_reply_print(reply, "1");
}

/* Hg and Hc; what steps or runs is said by vCont. */
static void choose_thread(struct mv_gdb_session *session, const char *arguments,
                          struct mv_gdb_reply *reply)
{
    unsigned cpu;
    bool any;
    char what = *arguments;
    arguments += what != '\0';
    if ((what != 'g' && what != 'c') || !mv_gdb_parse_thread(session, &arguments, &cpu, &any)) {
        mv_gdb_reply_error(reply, EINVAL);
        return;
    }
    if (what == 'g')
        session->general_cpu = cpu;
    mv_gdb_reply_print(reply, "OK");
}

static void thread_lives(struct mv_gdb_session *session, const char *arguments,
                         struct mv_gdb_reply *reply)
{
    unsigned cpu;
    bool any;
    if (mv_gdb_parse_thread(session, &arguments, &cpu, &any))
        mv_gdb_reply_print(reply, "OK");
    else
        mv_gdb_reply_error(reply, ESRCH);
}

static void physical_mode(struct mv_gdb_session *session, const char *arguments,
                          struct mv_gdb_reply *reply)
{
    mv_gdb_reply_print(reply, "%d", session->physical);
}

static void set_physical_mode(struct mv_gdb_session *session, const char *arguments,
                              struct mv_gdb_reply *reply)
{
    session->physical = *arguments == '1';
    mv_gdb_reply_print(reply, "OK");
}

static void vcont_actions(struct mv_gdb_session *session, const char *arguments,
                          struct mv_gdb_reply *reply)
{
    mv_gdb_reply_print(reply, "vCont;c;C;s;S");
}

/* --- ends */

static void detach(struct mv_gdb_session *session, const char *arguments,
                   struct mv_gdb_reply *reply)
{
    mv_gdb_reply_print(reply, "OK");
    reply->close = true;
}

static void kill_machine(struct mv_gdb_session *session, const char *arguments,
                         struct mv_gdb_reply *reply)
{
    mv_machine_request_quit(session->machine, MV_CAUSE_HOST_DEBUGGER);
}

static void kill_with_answer(struct mv_gdb_session *session, const char *arguments,
                             struct mv_gdb_reply *reply)
{
    mv_gdb_reply_print(reply, "OK");
    kill_machine(session, arguments, reply);
}

/* LLDB's: a watchpoint stops before the access, so that it is to step before it looks. */
static void host_info(struct mv_gdb_session *session, const char *arguments,
                      struct mv_gdb_reply *reply)
{
    mv_gdb_reply_print(reply, "endian:little;ptrsize:8;watchpoint_exceptions_received:before;");
}

/* It asks for a number, and only then for the above: more than it would need. */
static void watchpoint_info(struct mv_gdb_session *session, const char *arguments,
                            struct mv_gdb_reply *reply)
{
    mv_gdb_reply_print(reply, "num:256;");
}

/* --- monitor */

static const struct monitor_row {
    const char *name;
    const char *help;
} monitor_rows[] = {
    {"help", "show this list"},
    {"reset", "reset the guest, which stays stopped"},
    {"powerdown", "press the power button"},
    {"quit", "end the VM at once"},
};

static void monitor_help(struct mv_gdb_text *text)
{
    for (size_t i = 0; i < sizeof monitor_rows / sizeof monitor_rows[0]; i++)
        mv_gdb_text_print(text, "monitor %-10s %s\n", monitor_rows[i].name, monitor_rows[i].help);
}

static void monitor(struct mv_gdb_session *session, const char *arguments,
                    struct mv_gdb_reply *reply)
{
    char command[64] = "";
    struct mv_gdb_text says = {0};
    size_t len = strlen(arguments) / 2;
    if (len >= sizeof command || !mv_gdb_parse_bytes(arguments, command, len))
        command[0] = '\0';
    if (strcmp(command, "reset") == 0) {
        struct mv_error err;
        if (mv_machine_reset(session->machine, MV_CAUSE_HOST_DEBUGGER, &err) == 0)
            mv_gdb_text_print(&says, "The guest is reset.\n");
        else
            mv_gdb_text_print(&says, "The guest is not reset: %s\n", err.text);
    } else if (strcmp(command, "powerdown") == 0) {
        mv_machine_powerdown(session->machine);
        mv_gdb_text_print(&says, "The power button is pressed.\n");
    } else if (strcmp(command, "quit") == 0) {
        mv_machine_request_quit(session->machine, MV_CAUSE_HOST_DEBUGGER);
        mv_gdb_text_print(&says, "The VM ends.\n");
    } else {
        if (strcmp(command, "help") != 0)
            mv_gdb_text_print(&says, "There is no such command. There are:\n");
        monitor_help(&says);
    }
    mv_gdb_reply_hex(reply, says.bytes, says.len);
    mv_gdb_text_clear(&says);
}

/* --- the table */

/* What a packet begins with; the first row that fits counts. */
static const struct row {
    const char *name;
    mv_gdb_handler *serve;
    bool of_stopped; /* it looks at vCPUs, or changes what they look at: they must stand */
} rows[] = {
    {"?", mv_gdb_why},
    {"qSupported", supported},
    {"QStartNoAckMode", start_no_ack},
    {"qXfer:features:read:", mv_gdb_read_features, true},
    {"qfThreadInfo", thread_list},
    {"qsThreadInfo", thread_list_end},
    {"qThreadExtraInfo,", thread_info},
    {"qC", current_thread},
    {"qAttached", attached},
    {"qRcmd,", monitor},
    {"qHostInfo", host_info},
    {"qWatchpointSupportInfo:", watchpoint_info},
    {"qqemu.PhyMemMode", physical_mode},
    {"Qqemu.PhyMemMode:", set_physical_mode},
    {"vCont?", vcont_actions},
    {"vCont", mv_gdb_vcont},
    {"vKill", kill_with_answer},
    {"k", kill_machine},
    {"D", detach},
    {"H", choose_thread},
    {"T", thread_lives},
    {"g", mv_gdb_read_registers, true},
    {"G", mv_gdb_write_registers, true},
    {"p", mv_gdb_read_register, true},
    {"P", mv_gdb_write_register, true},
    {"m", mv_gdb_read_memory, true},
    {"M", mv_gdb_write_memory, true},
    {"Z", mv_gdb_insert_point, true},
    {"z", mv_gdb_remove_point, true},
    {"c", mv_gdb_continue},
    {"s", mv_gdb_step},
};

void mv_gdb_packet(struct mv_gdb_session *session, char *packet, size_t len,
                   struct mv_gdb_reply *reply)
{
    /* While it waits for a stop, the one thing to say is Ctrl-C. */
    if (session->waiting)
        return;
    bool stands = mv_machine_state(session->machine) != MV_MACHINE_RUNNING;
    if (packet[0] == 'X') {
        if (stands)
            mv_gdb_write_binary(session, packet + 1, len - 1, reply);
        else
            mv_gdb_reply_error(reply, EBUSY);
        return;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t name_len = strlen(rows[i].name);
        if (strncmp(packet, rows[i].name, name_len) != 0)
            continue;
        if (rows[i].of_stopped && !stands)
            mv_gdb_reply_error(reply, EBUSY);
        else
            rows[i].serve(session, packet + name_len, reply);
        return;
    }
    /* The protocol's way to say that there is no such packet. */
    mv_gdb_reply_add(reply, "", 0);
}
