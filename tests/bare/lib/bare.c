/* SPDX-License-Identifier: Apache-2.0 */
/* Start-up, console, device tree, exceptions, second CPUs. */
#include "bare.h"

#include <stdarg.h>

struct machine machine;
struct fault fault;
void (*irq_handler)(struct frame *frame);
bool (*sync_handler)(unsigned vector, struct frame *frame);
extern uint64_t trial_sp;
extern char image_start[], trial_fault[], secondary_start[];

void *memset(void *to, int byte, size_t len);
void *memset(void *to, int byte, size_t len)
{
    for (char *p = to; len-- > 0;)
        *p++ = (char)byte;
    return to;
}

void *memcpy(void *to, const void *from, size_t len);
void *memcpy(void *to, const void *from, size_t len)
{
    const char *q = from;
    for (char *p = to; len-- > 0;)
        *p++ = *q++;
    return to;
}

/* --- console */

static void put(char c)
{
    if (machine.uart_is_pl011) {
        while (read32(machine.uart + 0x18) & 0x20)
            ;
        write32(machine.uart, (uint32_t)c);
    } else {
        while (!(*(volatile uint8_t *)(machine.uart + 5) & 0x20))
            ;
        *(volatile uint8_t *)machine.uart = (uint8_t)c;
    }
}

static void put_number(uint64_t value, unsigned base)
{
    char digits[24];
    unsigned n = 0;
    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (n > 0)
        put(digits[--n]);
}

void print(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            put(*fmt);
            continue;
        }
        bool wide = *++fmt == 'l';
        if (wide)
            fmt++;
        if (*fmt == 's') {
            for (const char *s = va_arg(ap, const char *); *s; s++)
                put(*s);
        } else if (*fmt == 'c') {
            put((char)va_arg(ap, int));
        } else {
            uint64_t value = wide ? va_arg(ap, uint64_t) : va_arg(ap, uint32_t);
            if (*fmt == 'd' && (wide ? (int64_t)value < 0 : (int32_t)value < 0)) {
                put('-');
                value = wide ? -value : (uint32_t)-(uint32_t)value;
            }
            put_number(value, *fmt == 'x' ? 16 : 10);
        }
    }
    va_end(ap);
}

/* --- device tree: nodes of the root, by compatible or device_type */

static uint32_t be32(const void *p)
{
    const uint8_t *b = p;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}
static uint64_t be64(const uint8_t *p)
{
    return (uint64_t)be32(p) << 32 | be32(p + 4);
}

static bool equal(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

/* The first string of a list is enough for the nodes that count here. */
static const uint8_t *find_reg(const uint8_t *fdt, const char *property, const char *value)
{
    const uint8_t *p = fdt + be32(fdt + 8), *reg = NULL;
    const char *names = (const char *)fdt + be32(fdt + 12);
    bool match = false;
    for (;;) {
        uint32_t token = be32(p);
        p += 4;
        if (token == 1) {
            while (*p++)
                ;
            p = (const uint8_t *)(((uintptr_t)p + 3) & ~3ul);
            reg = NULL;
            match = false;
        } else if (token == 3) {
            uint32_t len = be32(p);
            const char *name = names + be32(p + 4);
            p += 8;
            if (equal(name, "reg"))
                reg = p;
            if (equal(name, property) && equal((const char *)p, value))
                match = true;
            p += (len + 3) & ~3u;
        } else if (token == 9) {
            return NULL;
        }
        if (match && reg)
            return reg;
    }
}

static void read_machine(const uint8_t *fdt)
{
    const uint8_t *reg = find_reg(fdt, "device_type", "memory");
    machine.ram = be64(reg);
    machine.ram_size = be64(reg + 8);
    reg = find_reg(fdt, "compatible", "ns16550a");
    if (reg == NULL) {
        reg = find_reg(fdt, "compatible", "arm,pl011");
        machine.uart_is_pl011 = 1;
    }
    machine.uart = be64(reg);
    reg = find_reg(fdt, "compatible", "arm,gic-v3");
    machine.gicd = be64(reg);
    machine.gicr = be64(reg + 16);
    machine.gicr_stride = 0x20000;
    machine.load = (uint64_t)image_start;
}

/* --- exceptions */

static uint64_t el0_result;

static void died(unsigned vector, const struct frame *frame)
{
    print("DIED vector %u esr %lx far %lx elr +%lx\n", vector, frame->esr, frame->far,
          frame->elr - machine.load);
    psci(0x84000008, 0, 0, 0);
}

void bare_exception(unsigned vector, struct frame *frame);
void bare_exception(unsigned vector, struct frame *frame)
{
    bool irq = (vector & 3) == 1;
    if (irq && irq_handler) {
        irq_handler(frame);
        return;
    }
    if (!irq && sync_handler && sync_handler(vector, frame))
        return;
    if (trial_sp == 0) {
        died(vector, frame);
        return;
    }
    fault = (struct fault){vector, frame->esr, frame->far, frame->elr, frame->spsr};
    /* An SVC of EL0 is how its code ends well: x0 is the result. */
    if (vector == 8 && frame->esr >> 26 == 0x15 && (frame->esr & 0xffff) == 0xfff)
        fault.vector = 0, el0_result = frame->x[0];
    frame->elr = (uint64_t)trial_fault;
    frame->spsr = 0x3c5;
}

extern void trial_el0_enter(const void *code, uint64_t a, uint64_t b);

struct el0_call {
    const void *code;
    uint64_t a, b;
};

static uint64_t enter_el0(uint64_t call_address, uint64_t unused)
{
    const struct el0_call *call = (const struct el0_call *)call_address;
    (void)unused;
    trial_el0_enter(call->code, call->a, call->b);
    return 0;
}

int trial_el0(const void *code, uint64_t a, uint64_t b, uint64_t *result)
{
    struct el0_call call = {code, a, b};
    fault.vector = 99;
    trial(enter_el0, (uint64_t)&call, 0, NULL);
    if (result)
        *result = el0_result;
    return fault.vector != 0;
}

void print_outcome(const char *what, int faulted, uint64_t result)
{
    if (faulted)
        print("%s: vector %u ec %x iss %x\n", what, fault.vector, (uint32_t)(fault.esr >> 26),
              (uint32_t)(fault.esr & 0x1ffffff));
    else
        print("%s: ok %lx\n", what, result);
}

/* --- second CPUs */

static void (*volatile cpu_fn[MAX_CPUS])(unsigned cpu);
static volatile uint32_t cpu_done[MAX_CPUS];

int64_t psci(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t x0 __asm__("x0") = function;
    register uint64_t x1 __asm__("x1") = a;
    register uint64_t x2 __asm__("x2") = b;
    register uint64_t x3 __asm__("x3") = c;
    __asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"memory");
    return (int64_t)x0;
}

uint64_t mpidr_of(unsigned cpu)
{
    return cpu;
}

void bare_secondary(unsigned cpu);
void bare_secondary(unsigned cpu)
{
    cpu_fn[cpu](cpu);
    cpu_done[cpu] = 1;
    dsb();
    psci(0x84000002, 0, 0, 0);
}

void cpu_start(unsigned cpu, void (*fn)(unsigned cpu))
{
    cpu_fn[cpu] = fn;
    cpu_done[cpu] = 0;
    dsb();
    int64_t r = psci(0xc4000003, mpidr_of(cpu), (uint64_t)secondary_start, cpu);
    if (r != 0)
        print("cpu %u does not start: %ld\n", cpu, r);
}

void cpu_wait(unsigned cpu)
{
    while (!cpu_done[cpu])
        ;
    dsb();
    while (psci(0xc4000004, mpidr_of(cpu), 0, 0) != 1)
        ;
}

void bare_start(const uint8_t *fdt);
void bare_start(const uint8_t *fdt)
{
    read_machine(fdt);
    bare_main();
    print("END\n");
    psci(0x84000008, 0, 0, 0);
}
