/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bare-metal guest that touches memory as it is told, a line at a time:
 *
 *   r ADDR             "= VALUE", the doubleword there
 *   w ADDR VALUE       store a doubleword
 *   g ADDR             "= VALUE", the word there
 *   d ADDR VALUE       store a word
 *   f ADDR PAGES VALUE store it to the first doubleword of each page
 *   s ADDR PAGES       "= SUM" of the first doublewords of the pages
 *   k ADDR PAGES       "= SUM" of all doublewords of the pages, eight at a time
 *   j ADDR RUNS STEP   "= SUM" as of s, of 16 pages at each of so many steps, a power of two
 *                      of them, in an order that jumps
 *   u ADDR N           store so many doublewords, 3, 6, 9 and so on; "= " what all give by EOR
 *   t ADDR TEXT        store the text
 *   p ADDR A B         store a pair
 *   o ADDR             "= SUM" of a pair
 *   a ADDR N           add N to the doubleword, atomically
 *   e ADDR N           the same, by LDXR and STXR
 *   x ADDR             "= VALUE" of the function there
 *   z ADDR             DC ZVA
 *   v ADDR             store 64 bytes, each 0x5a, from vector registers
 *   l ROUNDS           read and write 128 pages, ROUNDS times
 *   m                  turn the MMU on: memory is Normal from then on
 *   c                  "= COUNT" of the virtual counter
 *   n TICKS            set the virtual timer, without interrupts, and start it
 *   i                  "= CTL" of the virtual timer
 *   q                  power off
 *
 * Numbers are hexadecimal.  Each line is answered by "ok" or "= VALUE".
 */
#include "../bare/lib/bare.h"

#define LOOP_PAGES 128

static char line[256];
static uint64_t area[LOOP_PAGES][PAGE / 8] __attribute__((aligned(4096)));

static void read_line(void)
{
    volatile uint8_t *uart = (volatile uint8_t *)machine.uart;
    unsigned len = 0;
    for (;;) {
        while (!(uart[5] & 1))
            __asm__ volatile("wfe"); /* no event comes, but a wait for one ends by itself */
        char c = (char)uart[0];
        if (c == '\n')
            break;
        if (len < sizeof line - 1)
            line[len++] = c;
    }
    line[len] = 0;
}

static const char *skip(const char *at)
{
    while (*at == ' ')
        at++;
    return at;
}

static uint64_t number(const char **at)
{
    uint64_t value = 0;
    const char *p = skip(*at);
    for (; *p && *p != ' '; p++)
        value = value << 4 | (uint64_t)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
    *at = p;
    return value;
}

static void fill(uint64_t at, uint64_t pages, uint64_t value)
{
    for (; pages-- > 0; at += PAGE)
        write64(at, value);
}

static uint64_t sum(uint64_t at, uint64_t pages)
{
    uint64_t total = 0;
    for (; pages-- > 0; at += PAGE)
        total += *(volatile uint64_t *)at;
    return total;
}

static uint64_t sum_jumping(uint64_t at, uint64_t runs, uint64_t step)
{
    uint64_t total = 0;
    for (uint64_t i = 0; i < runs; i++)
        total += sum(at + i * 40503 % runs * step, 16);
    return total;
}

static uint64_t sum_all(uint64_t at, uint64_t pages)
{
    uint64_t total = 0, end = at + pages * PAGE;
    for (; at < end; at += 64) {
        uint64_t a, b, c, d, e, f, g, h;
        __asm__ volatile("ldp %0, %1, [%8]\n\tldp %2, %3, [%8, #16]\n\t"
                         "ldp %4, %5, [%8, #32]\n\tldp %6, %7, [%8, #48]"
                         : "=&r"(a), "=&r"(b), "=&r"(c), "=&r"(d), "=&r"(e), "=&r"(f), "=&r"(g),
                           "=&r"(h)
                         : "r"(at)
                         : "memory");
        total += a + b + c + d + e + f + g + h;
    }
    return total;
}

/* All of it in registers, but for the stores: x2, and a vector of the same. */
static uint64_t store_threes(uint64_t at, uint64_t n)
{
    uint64_t ret;
    __asm__ volatile(".arch_extension simd\n\tmrs x2, cpacr_el1\n\torr x2, x2, #0x300000\n\t"
                     "msr cpacr_el1, x2\n\tisb\n\t"
                     "mov x2, #3\n\tdup v1.2d, x2\n\tmovi v0.2d, #0\n\tmov x2, #0\n\tmov %2, #0\n"
                     "1: add x2, x2, #3\n\tadd v0.2d, v0.2d, v1.2d\n\teor %2, x2, %2, ror #7\n\t"
                     "str x2, [%0], #8\n\tsubs %1, %1, #1\n\tb.ne 1b\n\t"
                     "umov x2, v0.d[1]\n\teor %2, %2, x2"
                     : "+r"(at), "+r"(n), "=&r"(ret)::"x2", "cc", "memory");
    return ret;
}

static void loop(uint64_t rounds)
{
    volatile uint64_t *words = &area[0][0];
    while (rounds-- > 0)
        for (unsigned i = 0; i < LOOP_PAGES * (PAGE / 8); i += 8)
            words[i] += rounds;
}

static void store_vectors(uint64_t at)
{
    __asm__ volatile(".arch_extension simd\n\tmrs x9, cpacr_el1\n\torr x9, x9, #0x300000\n\tmsr cpacr_el1, x9\n\tisb\n\t"
                     "movi v0.16b, #0x5a\n\tmovi v1.16b, #0x5a\n\tmovi v2.16b, #0x5a\n\t"
                     "movi v3.16b, #0x5a\n\tst1 {v0.16b-v3.16b}, [%0]" ::"r"(at)
                     : "memory", "x9");
}

static void add_exclusive(uint64_t at, uint64_t n)
{
    uint64_t value;
    uint32_t failed;
    do {
        __asm__ volatile("ldxr %0, [%2]\n\tadd %0, %0, %3\n\tstxr %w1, %0, [%2]"
                         : "=&r"(value), "=&r"(failed)
                         : "r"(at), "r"(n)
                         : "memory");
    } while (failed);
}

static void obey(char command, const char *rest)
{
    uint64_t at = *skip(rest) == 0 ? 0 : number(&rest);
    uint64_t a;
    switch (command) {
    case 'r':
        print("= %lx\n", *(volatile uint64_t *)at);
        return;
    case 's':
        print("= %lx\n", sum(at, number(&rest)));
        return;
    case 'u':
        print("= %lx\n", store_threes(at, number(&rest)));
        return;
    case 'j':
        a = number(&rest);
        print("= %lx\n", sum_jumping(at, a, number(&rest)));
        return;
    case 'k':
        print("= %lx\n", sum_all(at, number(&rest)));
        return;
    case 'w':
        write64(at, number(&rest));
        break;
    case 'g':
        print("= %x\n", *(volatile uint32_t *)at);
        return;
    case 'd':
        *(volatile uint32_t *)at = (uint32_t)number(&rest);
        break;
    case 'f':
        a = number(&rest);
        fill(at, a, number(&rest));
        break;
    case 't':
        for (rest = skip(rest); *rest; rest++)
            *(volatile char *)at++ = *rest;
        break;
    case 'p':
        a = number(&rest);
        __asm__ volatile("stp %1, %2, [%0]" ::"r"(at), "r"(a), "r"(number(&rest)) : "memory");
        break;
    case 'a':
        __asm__ volatile("ldadd %1, xzr, [%0]" ::"r"(at), "r"(number(&rest)) : "memory");
        break;
    case 'o': {
        uint64_t b;
        __asm__ volatile("ldp %0, %1, [%2]" : "=&r"(a), "=r"(b) : "r"(at) : "memory");
        print("= %lx\n", a + b);
        return;
    }
    case 'e':
        add_exclusive(at, number(&rest));
        break;
    case 'x':
        print("= %lx\n", ((uint64_t(*)(void))at)());
        return;
    case 'z':
        __asm__ volatile("dc zva, %0" ::"r"(at) : "memory");
        break;
    case 'v':
        store_vectors(at);
        break;
    case 'l':
        loop(at);
        break;
    case 'c':
        print("= %lx\n", read_sysreg(cntvct_el0));
        return;
    case 'n':
        write_sysreg(cntv_cval_el0, read_sysreg(cntvct_el0) + at);
        write_sysreg(cntv_ctl_el0, 3);
        break;
    case 'i':
        print("= %lx\n", read_sysreg(cntv_ctl_el0));
        return;
    case 'm':
        mmu_on();
        break;
    case 'q':
        psci(0x84000008, 0, 0, 0);
        break;
    default:
        print("unknown command\n");
        return;
    }
    print("ok\n");
}

void bare_main(void)
{
    print("ram %lx %lx free %lx\n", machine.ram, machine.ram_size,
          (machine.load + 0x400000) & ~0xfffful);
    for (;;) {
        read_line();
        obey(line[0], line + 1);
    }
}
