/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers and the description of them that qXfer:features hands out, both
 * made of one order: x0-x30, sp, pc, cpsr (org.gnu.gdb.aarch64.core), v0-v31,
 * fpsr, fpcr (org.gnu.gdb.aarch64.fpu), then the engine's system registers,
 * which are for reading.
 */
#include "stub.h"

#include <errno.h>
#include <string.h>

enum {
    REG_X0 = 0,
    REG_SP = 31,
    REG_PC = 32,
    REG_CPSR = 33,
    REG_V0 = 34,
    REG_FPSR = 66,
    REG_FPCR = 67,
    REG_SYSTEM = 68,
};

#define CPSR_EL 0xcu
#define CPSR_SPSEL 1u

struct mv_vcpu *mv_gdb_vcpu(struct mv_gdb *gdb)
{
    return mv_machine_vcpu(gdb->machine, gdb->general_cpu);
}

/* Everything but system registers, taken and put back in one go. */
struct registers {
    struct mv_vcpu_regs core;
    struct mv_vcpu_vregs vector;
};

static void get(struct mv_gdb *gdb, struct registers *regs)
{
    struct mv_vcpu *vcpu = mv_gdb_vcpu(gdb);
    vcpu->ops->vcpu_get_regs(vcpu, &regs->core);
    vcpu->ops->vcpu_get_vregs(vcpu, &regs->vector);
}

static void put(struct mv_gdb *gdb, const struct registers *regs)
{
    struct mv_vcpu *vcpu = mv_gdb_vcpu(gdb);
    vcpu->ops->vcpu_set_regs(vcpu, &regs->core);
    vcpu->ops->vcpu_set_vregs(vcpu, &regs->vector);
}

/* Where register n stands, and its size in bytes; NULL for a system register. */
static void *place(struct registers *regs, unsigned n, size_t *ret_size)
{
    bool on_sp1 = (regs->core.pstate & CPSR_EL) && (regs->core.pstate & CPSR_SPSEL);
    *ret_size = n >= REG_V0 && n < REG_FPSR ? 16 : n == REG_CPSR || n >= REG_FPSR ? 4 : 8;
    if (n < REG_SP)
        return &regs->core.x[n];
    if (n >= REG_V0 && n < REG_FPSR)
        return regs->vector.v[n - REG_V0];
    switch (n) {
    case REG_SP:
        return on_sp1 ? &regs->core.sp_el1 : &regs->core.sp_el0;
    case REG_PC:
        return &regs->core.pc;
    case REG_CPSR:
        return &regs->core.pstate;
    case REG_FPSR:
        return &regs->vector.fpsr;
    case REG_FPCR:
        return &regs->vector.fpcr;
    default:
        return NULL;
    }
}

void mv_gdb_read_registers(struct mv_gdb *gdb, const char *arguments)
{
    struct registers regs;
    struct mv_gdb_text text = {0};
    (void)arguments;
    get(gdb, &regs);
    for (unsigned n = 0; n < REG_SYSTEM; n++) {
        size_t size;
        const void *bytes = place(&regs, n, &size);
        mv_gdb_text_hex(&text, bytes, size);
    }
    mv_gdb_send_text(gdb, &text);
}

void mv_gdb_write_registers(struct mv_gdb *gdb, const char *arguments)
{
    struct registers regs;
    get(gdb, &regs);
    size_t size, left = strlen(arguments) / 2;
    for (unsigned n = 0; n < REG_SYSTEM && left > 0; n++) {
        /* The stack pointer that is meant follows from the old PSTATE: it comes before cpsr. */
        void *bytes = place(&regs, n, &size);
        if (size > left || !mv_gdb_parse_bytes(arguments, bytes, size)) {
            mv_gdb_send_error(gdb, EINVAL);
            return;
        }
        arguments += 2 * size;
        left -= size;
    }
    put(gdb, &regs);
    mv_gdb_send_string(gdb, "OK");
}

void mv_gdb_read_register(struct mv_gdb *gdb, const char *arguments)
{
    struct registers regs;
    struct mv_gdb_text text = {0};
    struct mv_vcpu_sysreg reg;
    struct mv_vcpu *vcpu = mv_gdb_vcpu(gdb);
    uint64_t n;
    size_t size;
    if (!mv_gdb_parse_hex(&arguments, &n) || n > 0xffff) {
        mv_gdb_send_error(gdb, EINVAL);
        return;
    }
    get(gdb, &regs);
    if (n < REG_SYSTEM) {
        const void *bytes = place(&regs, (unsigned)n, &size);
        mv_gdb_text_hex(&text, bytes, size);
    } else if (vcpu->ops->vcpu_get_sysreg(vcpu, (unsigned)n - REG_SYSTEM, &reg)) {
        mv_gdb_text_hex(&text, &reg.value, sizeof reg.value);
    } else {
        mv_gdb_send_error(gdb, EINVAL);
        return;
    }
    mv_gdb_send_text(gdb, &text);
}

/* N=HEX; a core or vector register alone. */
void mv_gdb_write_register(struct mv_gdb *gdb, const char *arguments)
{
    struct registers regs;
    uint64_t n;
    size_t size;
    bool parsed = mv_gdb_parse_hex(&arguments, &n) && *arguments++ == '=';
    get(gdb, &regs);
    void *bytes = parsed && n < REG_SYSTEM ? place(&regs, (unsigned)n, &size) : NULL;
    if (bytes == NULL || strlen(arguments) != 2 * size ||
        !mv_gdb_parse_bytes(arguments, bytes, size)) {
        mv_gdb_send_error(gdb, EINVAL);
        return;
    }
    put(gdb, &regs);
    mv_gdb_send_string(gdb, "OK");
}

/* --- the description (GDB's manual, appendix G) */

static void describe_core(struct mv_gdb_text *xml)
{
    mv_gdb_text_print(xml, "<feature name=\"org.gnu.gdb.aarch64.core\">\n"
                           "<flags id=\"pstate\" size=\"4\">\n");
    static const struct {
        const char *name;
        unsigned first, last;
    } fields[] = {
        {"SP", 0, 0}, {"EL", 2, 3}, {"F", 6, 6},   {"I", 7, 7},   {"A", 8, 8},   {"D", 9, 9},
        {"IL", 20, 20}, {"SS", 21, 21}, {"V", 28, 28}, {"C", 29, 29}, {"Z", 30, 30}, {"N", 31, 31},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        mv_gdb_text_print(xml, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>\n", fields[i].name,
                          fields[i].first, fields[i].last);
    mv_gdb_text_print(xml, "</flags>\n");
    for (unsigned n = 0; n < 31; n++)
        mv_gdb_text_print(xml, "<reg name=\"x%u\" bitsize=\"64\"/>\n", n);
    mv_gdb_text_print(xml, "<reg name=\"sp\" bitsize=\"64\" type=\"data_ptr\"/>\n"
                           "<reg name=\"pc\" bitsize=\"64\" type=\"code_ptr\"/>\n"
                           "<reg name=\"cpsr\" bitsize=\"32\" type=\"pstate\"/>\n</feature>\n");
}

static void describe_vector(struct mv_gdb_text *xml)
{
    /* Of each element's size a union of what it may be: a float, unsigned, signed. */
    static const struct {
        char name;
        unsigned bits;
        const char *real; /* NULL: there is none */
    } sizes[] = {
        {'d', 64, "ieee_double"}, {'s', 32, "ieee_single"}, {'h', 16, "ieee_half"},
        {'b', 8, NULL},           {'q', 128, NULL},
    };
    static const size_t count = sizeof sizes / sizeof sizes[0];
    mv_gdb_text_print(xml, "<feature name=\"org.gnu.gdb.aarch64.fpu\">\n");
    for (size_t i = 0; i < count; i++) {
        char name = sizes[i].name;
        unsigned bits = sizes[i].bits, elements = 128 / bits;
        if (sizes[i].real != NULL)
            mv_gdb_text_print(xml, "<vector id=\"v%cf\" type=\"%s\" count=\"%u\"/>\n", name,
                              sizes[i].real, elements);
        mv_gdb_text_print(xml,
                          "<vector id=\"v%cu\" type=\"uint%u\" count=\"%u\"/>\n"
                          "<vector id=\"v%cs\" type=\"int%u\" count=\"%u\"/>\n"
                          "<union id=\"vn%c\">\n",
                          name, bits, elements, name, bits, elements, name);
        if (sizes[i].real != NULL)
            mv_gdb_text_print(xml, "<field name=\"f\" type=\"v%cf\"/>\n", name);
        mv_gdb_text_print(xml,
                          "<field name=\"u\" type=\"v%cu\"/>\n<field name=\"s\" type=\"v%cs\"/>\n"
                          "</union>\n",
                          name, name);
    }
    mv_gdb_text_print(xml, "<union id=\"aarch64v\">\n");
    for (size_t i = 0; i < count; i++)
        mv_gdb_text_print(xml, "<field name=\"%c\" type=\"vn%c\"/>\n", sizes[i].name,
                          sizes[i].name);
    mv_gdb_text_print(xml, "</union>\n");
    for (unsigned n = 0; n < 32; n++)
        mv_gdb_text_print(xml, "<reg name=\"v%u\" bitsize=\"128\" type=\"aarch64v\"/>\n", n);
    mv_gdb_text_print(xml, "<reg name=\"fpsr\" bitsize=\"32\"/>\n"
                           "<reg name=\"fpcr\" bitsize=\"32\"/>\n</feature>\n");
}

static void describe_system(struct mv_gdb *gdb, struct mv_gdb_text *xml)
{
    struct mv_vcpu *vcpu = mv_gdb_vcpu(gdb);
    struct mv_vcpu_sysreg reg;
    mv_gdb_text_print(xml, "<feature name=\"org.memvisor.aarch64.system\">\n");
    for (unsigned i = 0; vcpu->ops->vcpu_get_sysreg(vcpu, i, &reg); i++)
        mv_gdb_text_print(xml, "<reg name=\"%s\" bitsize=\"64\" group=\"system\"/>\n", reg.name);
    mv_gdb_text_print(xml, "</feature>\n");
}

/* ANNEX:OFFSET,LENGTH; the only annex is target.xml. */
void mv_gdb_read_features(struct mv_gdb *gdb, const char *arguments)
{
    static const char annex[] = "target.xml:";
    struct mv_gdb_text xml = {0}, part = {0};
    uint64_t offset, len;
    if (strncmp(arguments, annex, sizeof annex - 1) != 0) {
        mv_gdb_send_string(gdb, "E00");
        return;
    }
    arguments += sizeof annex - 1;
    if (!mv_gdb_parse_hex(&arguments, &offset) || *arguments++ != ',' ||
        !mv_gdb_parse_hex(&arguments, &len)) {
        mv_gdb_send_error(gdb, EINVAL);
        return;
    }
    mv_gdb_text_print(&xml, "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
                            "<target version=\"1.0\">\n<architecture>aarch64</architecture>\n");
    describe_core(&xml);
    describe_vector(&xml);
    describe_system(gdb, &xml);
    mv_gdb_text_print(&xml, "</target>\n");
    uint64_t left = offset < xml.len ? xml.len - offset : 0;
    /* Escaped bytes take two. */
    if (len > MV_GDB_PACKET_MAX / 2)
        len = MV_GDB_PACKET_MAX / 2;
    mv_gdb_text_print(&part, "%c", left > len ? 'm' : 'l');
    mv_gdb_text_add(&part, xml.bytes + (left > 0 ? offset : 0), left < len ? left : len);
    part.failed |= xml.failed;
    mv_gdb_send_text(gdb, &part);
    mv_gdb_text_clear(&xml);
}
