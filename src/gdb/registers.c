/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers, and the description of them that qXfer:features hands out: both
 * follow the architecture's table, whose order gives the numbers.  Core and
 * vector registers go in one packet; system registers are for reading.
 */
#include "session.h"

#include "cleanup.h"

#include <errno.h>
#include <string.h>

struct mv_vcpu *mv_gdb_vcpu(struct mv_gdb_session *session)
{
    return mv_machine_vcpu(session->machine, session->general_cpu);
}

static const struct mv_arch *arch_of(struct mv_gdb_session *session)
{
    return mv_gdb_vcpu(session)->ops->arch;
}

/* How many registers there are up to a group's last. */
static size_t count_to(const struct mv_arch *arch, enum mv_register_group last)
{
    size_t count = 0;
    while (count < arch->register_count && arch->registers[count].group <= last)
        count++;
    return count;
}

/* The state of the chosen vCPU, to be freed; NULL where there is no memory. */
static void *take_state(struct mv_gdb_session *session)
{
    struct mv_vcpu *vcpu = mv_gdb_vcpu(session);
    void *state = malloc(vcpu->ops->arch->state_size);
    if (state != NULL)
        vcpu->ops->vcpu_get_state(vcpu, state);
    return state;
}

static int put_state(struct mv_gdb_session *session, const void *state)
{
    struct mv_vcpu *vcpu = mv_gdb_vcpu(session);
    int r = vcpu->ops->vcpu_set_state(vcpu, state, NULL);
    return r < 0 ? r : MV_GDB_OK;
}

static void add_register(struct mv_gdb_session *session, const struct mv_register *reg, void *state)
{
    mv_gdb_text_hex(&session->reply, mv_register_bytes(reg, state), reg->size);
}

int mv_gdb_read_registers(struct mv_gdb_session *session, const char *arguments)
{
    const struct mv_arch *arch = arch_of(session);
    size_t count = count_to(arch, MV_REGISTER_VECTOR);
    CLEANUP_FREE void *state = take_state(session);
    for (size_t i = 0; state != NULL && i < count; i++)
        add_register(session, &arch->registers[i], state);
    return state == NULL ? -ENOMEM : 0;
}

int mv_gdb_write_registers(struct mv_gdb_session *session, const char *arguments)
{
    const struct mv_arch *arch = arch_of(session);
    size_t count = count_to(arch, MV_REGISTER_VECTOR), left = strlen(arguments) / 2;
    CLEANUP_FREE void *state = take_state(session);
    if (state == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count && left > 0; i++) {
        const struct mv_register *reg = &arch->registers[i];
        uint8_t bytes[MV_REGISTER_SIZE_MAX];
        if (reg->size > left || !mv_gdb_parse_bytes(arguments, bytes, reg->size))
            return -EINVAL;
        mv_register_write(reg, state, bytes);
        arguments += 2 * reg->size;
        left -= reg->size;
    }
    return put_state(session, state);
}

int mv_gdb_read_register(struct mv_gdb_session *session, const char *arguments)
{
    const struct mv_arch *arch = arch_of(session);
    uint64_t n;
    if (!mv_gdb_parse_hex(&arguments, &n) || n >= count_to(arch, MV_REGISTER_SYSTEM))
        return -EINVAL;
    CLEANUP_FREE void *state = take_state(session);
    if (state == NULL)
        return -ENOMEM;
    add_register(session, &arch->registers[n], state);
    return 0;
}

/* N=HEX; a core or vector register alone. */
int mv_gdb_write_register(struct mv_gdb_session *session, const char *arguments)
{
    const struct mv_arch *arch = arch_of(session);
    uint8_t bytes[MV_REGISTER_SIZE_MAX];
    uint64_t n;
    if (!mv_gdb_parse_hex(&arguments, &n) || *arguments++ != '=' ||
        n >= count_to(arch, MV_REGISTER_VECTOR))
        return -EINVAL;
    const struct mv_register *reg = &arch->registers[n];
    if (strlen(arguments) != 2 * reg->size || !mv_gdb_parse_bytes(arguments, bytes, reg->size))
        return -EINVAL;
    CLEANUP_FREE void *state = take_state(session);
    if (state == NULL)
        return -ENOMEM;
    mv_register_write(reg, state, bytes);
    return put_state(session, state);
}

/* --- the description (GDB's manual, appendix G) */

static void describe_register(const struct mv_register *reg, struct mv_gdb_text *xml)
{
    mv_gdb_text_print(xml, "<reg name=\"%s\" bitsize=\"%u\"", reg->name, 8 * reg->size);
    if (reg->type != NULL)
        mv_gdb_text_print(xml, " type=\"%s\"", reg->type);
    if (reg->group == MV_REGISTER_SYSTEM)
        mv_gdb_text_print(xml, " group=\"system\"");
    mv_gdb_text_print(xml, "/>\n");
}

static void describe(const struct mv_arch *arch, struct mv_gdb_text *xml)
{
    mv_gdb_text_print(xml,
                      "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
                      "<target version=\"1.0\">\n<architecture>%s</architecture>\n",
                      arch->gdb_name);
    for (size_t f = 0; f < arch->feature_count; f++) {
        const struct mv_arch_feature *feature = &arch->features[f];
        mv_gdb_text_print(xml, "<feature name=\"%s\">\n", feature->name);
        mv_gdb_text_add(xml, feature->types, strlen(feature->types));
        for (size_t i = 0; i < arch->register_count; i++) {
            if (arch->registers[i].group == feature->group)
                describe_register(&arch->registers[i], xml);
        }
        mv_gdb_text_print(xml, "</feature>\n");
    }
    mv_gdb_text_print(xml, "</target>\n");
}

/* ANNEX:OFFSET,LENGTH; the only annex is target.xml. */
int mv_gdb_read_features(struct mv_gdb_session *session, const char *arguments)
{
    static const char annex[] = "target.xml:";
    struct mv_gdb_text xml = {0};
    uint64_t offset, len;
    if (strncmp(arguments, annex, sizeof annex - 1) != 0) {
        mv_gdb_reply_error(session, 0);
        return 0;
    }
    arguments += sizeof annex - 1;
    if (!mv_gdb_parse_hex(&arguments, &offset) || *arguments++ != ',' ||
        !mv_gdb_parse_hex(&arguments, &len))
        return -EINVAL;
    describe(arch_of(session), &xml);
    uint64_t left = offset < xml.len ? xml.len - offset : 0;
    /* Escaped bytes take two. */
    if (len > MV_GDB_PACKET_MAX / 2)
        len = MV_GDB_PACKET_MAX / 2;
    mv_gdb_text_print(&session->reply, "%c", left > len ? 'm' : 'l');
    mv_gdb_text_add(&session->reply, xml.bytes + (left > 0 ? offset : 0), left < len ? left : len);
    session->reply.failed |= xml.failed;
    mv_gdb_text_clear(&xml);
    return 0;
}
