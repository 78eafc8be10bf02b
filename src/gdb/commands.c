/* SPDX-License-Identifier: Apache-2.0 */
/* The packets that there are, as one table, the small ones among them, and texts of hex. */
#include "session.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- texts */

void mv_gdb_text_clear(struct mv_gdb_text *text)
{
    free(text->bytes);
    *text = (struct mv_gdb_text){0};
}

static bool reserve(struct mv_gdb_text *text, size_t more)
{
    if (text->failed || text->len + more <= text->capacity)
        return !text->failed;
    size_t capacity = 2 * (text->len + more);
    char *bytes = realloc(text->bytes, capacity);
    text->failed = bytes == NULL;
    if (bytes == NULL)
        return false;
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

void mv_gdb_text_add(struct mv_gdb_text *text, const void *bytes, size_t len)
{
    if (len == 0 || !reserve(text, len))
        return;
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
}

void mv_gdb_text_print(struct mv_gdb_text *text, const char *format, ...)
{
    va_list ap;
    char line[512];
    va_start(ap, format);
    int len = vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    if (len > 0)
        mv_gdb_text_add(text, line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1);
}

void mv_gdb_text_hex(struct mv_gdb_text *text, const void *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = bytes;
    if (!reserve(text, 2 * len))
        return;
    for (size_t i = 0; i < len; i++) {
        text->bytes[text->len++] = digits[from[i] >> 4];
        text->bytes[text->len++] = digits[from[i] & 15];
    }
}

int mv_gdb_digit(char c)
{
    if (!isxdigit((unsigned char)c))
        return -1;
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

bool mv_gdb_parse_hex(const char **text, uint64_t *ret)
{
    uint64_t value = 0;
    const char *c = *text;
    for (; mv_gdb_digit(*c) >= 0; c++) {
        if (value >> 60)
            return false;
        value = value << 4 | (unsigned)mv_gdb_digit(*c);
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
    for (; len > 0; len--, text += 2) {
        int high = mv_gdb_digit(text[0]), low = high < 0 ? -1 : mv_gdb_digit(text[1]);
        if (low < 0)
            return false;
        *to++ = (uint8_t)(high << 4 | low);
    }
    return true;
}

void mv_gdb_reply_error(struct mv_gdb_session *session, int errnum)
{
    session->reply.len = 0;
    session->reply.failed = false;
    mv_gdb_text_print(&session->reply, "E%02x", (unsigned)errnum & 0xff);
}

/* --- questions */

static int start_no_ack(struct mv_gdb_session *session, const char *arguments)
{
    session->no_ack = true;
    return MV_GDB_OK;
}

static int thread_list(struct mv_gdb_session *session, const char *arguments)
{
    for (unsigned i = 0; i < mv_machine_cpu_count(session->machine); i++)
        mv_gdb_text_print(&session->reply, "%c%x", i == 0 ? 'm' : ',', i + 1);
    return 0;
}

static int thread_info(struct mv_gdb_session *session, const char *arguments)
{
    unsigned cpu;
    bool any;
    char name[32];
    if (!mv_gdb_parse_thread(session, &arguments, &cpu, &any))
        return -EINVAL;
    bool on = mv_machine_cpu_is_on(session->machine, cpu);
    int len = snprintf(name, sizeof name, "CPU %u%s", cpu, on ? "" : " (off)");
    mv_gdb_text_hex(&session->reply, name, (size_t)len);
    return 0;
}

static int current_thread(struct mv_gdb_session *session, const char *arguments)
{
    mv_gdb_text_print(&session->reply, "QC%x", session->stopped_cpu + 1);
    return 0;
}

/* Hg and Hc; what steps or runs is said by vCont. */
static int choose_thread(struct mv_gdb_session *session, const char *arguments)
{
    unsigned cpu;
    bool any;
    char what = *arguments;
    arguments += what != '\0';
    if ((what != 'g' && what != 'c') || !mv_gdb_parse_thread(session, &arguments, &cpu, &any))
        return -EINVAL;
    if (what == 'g')
        session->general_cpu = cpu;
    return MV_GDB_OK;
}

static int thread_lives(struct mv_gdb_session *session, const char *arguments)
{
    unsigned cpu;
    bool any;
    return mv_gdb_parse_thread(session, &arguments, &cpu, &any) ? MV_GDB_OK : -ESRCH;
}

static int physical_mode(struct mv_gdb_session *session, const char *arguments)
{
    mv_gdb_text_print(&session->reply, "%d", session->physical);
    return 0;
}

static int set_physical_mode(struct mv_gdb_session *session, const char *arguments)
{
    session->physical = *arguments == '1';
    return MV_GDB_OK;
}

/* --- ends */

static int detach(struct mv_gdb_session *session, const char *arguments)
{
    session->closing = true;
    return MV_GDB_OK;
}

static int kill_machine(struct mv_gdb_session *session, const char *arguments)
{
    mv_machine_request_quit(session->machine, MV_CAUSE_HOST_DEBUGGER);
    return MV_GDB_SILENT;
}

static int kill_with_answer(struct mv_gdb_session *session, const char *arguments)
{
    kill_machine(session, arguments);
    return MV_GDB_OK;
}

/* --- monitor */

static const char monitor_help[] = "monitor help       show this list\n"
                                   "monitor reset      reset the guest, which stays stopped\n"
                                   "monitor powerdown  press the power button\n"
                                   "monitor quit       end the VM at once\n";

static int monitor(struct mv_gdb_session *session, const char *arguments)
{
    char command[64] = "";
    struct mv_gdb_text says = {0};
    struct mv_error err;
    size_t len = strlen(arguments) / 2;
    if (len >= sizeof command || !mv_gdb_parse_bytes(arguments, command, len))
        command[0] = '\0';
    if (strcmp(command, "reset") == 0) {
        if (mv_machine_reset(session->machine, MV_CAUSE_HOST_DEBUGGER, &err) == 0)
            mv_gdb_text_print(&says, "The guest is reset.\n");
        else
            mv_gdb_text_print(&says, "The guest is not reset: %s\n", err.text);
    } else if (strcmp(command, "powerdown") == 0) {
        mv_machine_powerdown(session->machine);
        mv_gdb_text_print(&says, "The power button is pressed.\n");
    } else if (strcmp(command, "quit") == 0) {
        kill_machine(session, arguments);
        mv_gdb_text_print(&says, "The VM ends.\n");
    } else {
        mv_gdb_text_print(&says, "%s%s",
                          strcmp(command, "help") == 0 ? ""
                                                       : "There is no such command. There are:\n",
                          monitor_help);
    }
    mv_gdb_text_hex(&session->reply, says.bytes, says.len);
    mv_gdb_text_clear(&says);
    return 0;
}

/* --- the table */

_Static_assert(MV_GDB_PACKET_MAX == 0x4000, "as qSupported has it below");

/* What a packet begins with; the first row that fits counts. */
static const struct row {
    const char *name;
    mv_gdb_handler *serve;
    bool of_stopped;  /* it looks at vCPUs, or changes what they look at: they must stand */
    const char *says; /* in the place of a function */
} rows[] = {
    {"?", mv_gdb_why},
    {"qSupported", .says = "PacketSize=4000;qXfer:features:read+;QStartNoAckMode+;vContSupported+;"
                           "qemu.PhyMemMode+"},
    {"QStartNoAckMode", start_no_ack},
    {"qXfer:features:read:", mv_gdb_read_features, true},
    {"qfThreadInfo", thread_list},
    {"qsThreadInfo", .says = "l"},
    {"qThreadExtraInfo,", thread_info},
    {"qC", current_thread},
    {"qAttached", .says = "1"},
    {"qRcmd,", monitor},
    /* LLDB's: a watchpoint stops before the access, so that it is to step before it looks. */
    {"qHostInfo", .says = "endian:little;ptrsize:8;watchpoint_exceptions_received:before;"},
    /* It asks for a number, and only then for the above: more than it would need. */
    {"qWatchpointSupportInfo:", .says = "num:256;"},
    {"qqemu.PhyMemMode", physical_mode},
    {"Qqemu.PhyMemMode:", set_physical_mode},
    {"vCont?", .says = "vCont;c;C;s;S"},
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
    {"X", mv_gdb_write_binary, true},
    {"Z", mv_gdb_insert_point, true},
    {"z", mv_gdb_remove_point, true},
    {"c", mv_gdb_continue},
    {"s", mv_gdb_step},
    /* The protocol's way to say that there is no such packet. */
    {"", .says = ""},
};

bool mv_gdb_packet(struct mv_gdb_session *session, const char *packet, size_t len)
{
    /* While it waits for a stop, the one thing to say is Ctrl-C. */
    if (session->waiting)
        return false;
    const struct row *row = rows;
    while (strncmp(packet, row->name, strlen(row->name)) != 0)
        row++;
    int r = 0;
    session->packet_end = packet + len;
    if (row->of_stopped && mv_machine_state(session->machine) == MV_MACHINE_RUNNING)
        r = -EBUSY;
    else if (row->serve != NULL)
        r = row->serve(session, packet + strlen(row->name));
    if (r < 0)
        mv_gdb_reply_error(session, -r);
    else if (r != MV_GDB_SILENT)
        mv_gdb_text_print(&session->reply, "%s",
                          r == MV_GDB_OK       ? "OK"
                          : row->serve == NULL ? row->says
                                               : "");
    return r != MV_GDB_SILENT;
}
