/* SPDX-License-Identifier: Apache-2.0 */
/* Integers, branches and calls. */
#include "compute.h"

#include <stdlib.h>
#include <string.h>

/* --- sha256 of 64 bytes a round (FIPS 180-4), as a compiler has it from C */

static uint32_t sha_k[64], sha_state[8];

static uint32_t rotate(uint32_t x, unsigned by)
{
    return x >> by | x << (32 - by);
}

static void sha_block(const uint32_t block[16])
{
    uint32_t w[64], s[8];
    memcpy(w, block, 64);
    for (unsigned i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] +
               (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
    memcpy(s, sha_state, sizeof s);
    for (unsigned i = 0; i < 64; i++) {
        uint32_t e = s[4], a = s[0];
        uint32_t t1 = s[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
                      ((e & s[5]) ^ (~e & s[6])) + sha_k[i] + w[i];
        uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
                      ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        s[7] = s[6];
        s[6] = s[5];
        s[5] = e;
        s[4] = s[3] + t1;
        s[3] = s[2];
        s[2] = s[1];
        s[1] = a;
        s[0] = t1 + t2;
    }
    for (unsigned i = 0; i < 8; i++)
        sha_state[i] += s[i];
}

/* Not the standard's constants, which take as long as any. */
static void sha256(unsigned long n)
{
    uint64_t seed = 1;
    uint32_t block[16];
    for (unsigned i = 0; i < 64; i++)
        sha_k[i] = (uint32_t)next_random(&seed);
    for (unsigned i = 0; i < 16; i++)
        block[i] = (uint32_t)next_random(&seed);
    while (n-- > 0)
        sha_block(block);
    result = sha_state[0];
}

/* --- a byte a round, by a table */

static void crc32(unsigned long n)
{
    static uint32_t table[256];
    static uint8_t data[4096];
    uint64_t seed = 2;
    for (unsigned i = 0; i < 256; i++) {
        uint32_t c = i;
        for (unsigned bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
        table[i] = c;
    }
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)next_random(&seed);
    uint32_t crc = ~0u;
    for (unsigned long i = 0; i < n; i++)
        crc = table[(crc ^ data[i % sizeof data]) & 0xff] ^ crc >> 8;
    result = crc;
}

/* --- sort 1024 numbers a round */

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void sort(unsigned long n)
{
    static uint32_t numbers[1024];
    uint64_t seed = 3;
    while (n-- > 0) {
        for (unsigned i = 0; i < 1024; i++)
            numbers[i] = (uint32_t)next_random(&seed);
        qsort(numbers, 1024, sizeof numbers[0], compare);
    }
    result = numbers[0];
}

/* --- primes up to 8192 a round */

static void sieve(unsigned long n)
{
    static uint8_t composite[8192];
    unsigned count = 0;
    while (n-- > 0) {
        memset(composite, 0, sizeof composite);
        count = 0;
        for (unsigned i = 2; i < sizeof composite; i++) {
            if (composite[i])
                continue;
            count++;
            for (unsigned j = 2 * i; j < sizeof composite; j += i)
                composite[j] = 1;
        }
    }
    result = count;
}

static void divide(unsigned long n)
{
    uint64_t seed = 4, sum = 0;
    while (n-- > 0) {
        uint64_t x = next_random(&seed);
        sum += x / ((x >> 40) | 1) + x % ((x >> 20 & 0xffff) | 1);
    }
    result = sum;
}

static void multiply(unsigned long n)
{
    uint64_t a = 0x9e3779b97f4a7c15u, b = 5;
    while (n-- > 0) {
        unsigned __int128 product = (unsigned __int128)a * (b | 1);
        b += (uint64_t)(product >> 64) ^ (uint64_t)product;
        a = a * 6364136223846793005u + b;
    }
    result = a;
}

/* --- branches: of which none can be told before; and a switch, as interpreters have them */

static void branches(unsigned long n)
{
    uint64_t seed = 5, sum = 0;
    while (n-- > 0) {
        uint64_t x = next_random(&seed);
        if (x & 1)
            sum += x;
        else
            sum ^= x >> 3;
        if (x & 0x10000)
            sum -= 7;
        if ((x & 0x700000) == 0x300000)
            sum = sum << 1 | sum >> 63;
    }
    result = sum;
}

enum { OP_ADD, OP_SUB, OP_XOR, OP_SHIFT, OP_LOAD, OP_STORE, OP_LOOP, OP_COUNT };

/* An instruction a round. */
static void interpreter(unsigned long n)
{
    static const uint8_t program[] = {OP_LOAD, OP_ADD, OP_XOR,  OP_STORE, OP_SHIFT, OP_LOAD,
                                      OP_SUB,  OP_ADD, OP_STORE, OP_XOR,  OP_ADD,   OP_LOOP};
    uint64_t a = 1, b = 2, memory[16] = {1, 2, 3};
    const uint8_t *pc = program;
    while (n-- > 0) {
        switch (*pc++) {
        case OP_ADD:
            a += b;
            break;
        case OP_SUB:
            b -= a;
            break;
        case OP_XOR:
            a ^= b << 7;
            break;
        case OP_SHIFT:
            b = b >> 1 | a << 63;
            break;
        case OP_LOAD:
            b += memory[a & 15];
            break;
        case OP_STORE:
            memory[b & 15] = a;
            break;
        default:
            pc = program;
            break;
        }
        __asm__ volatile("" : "+r"(pc));
    }
    result = a;
}

/* --- calls */

static __attribute__((noinline)) uint64_t fibonacci(unsigned n)
{
    __asm__ volatile("" : "+r"(n));
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

/* fib(15), of 1973 calls, a round. */
static void calls(unsigned long n)
{
    while (n-- > 0)
        result = fibonacci(15);
}

static __attribute__((noinline)) uint64_t add_one(uint64_t x)
{
    return x + 1;
}
static __attribute__((noinline)) uint64_t turn(uint64_t x)
{
    return x << 1 | x >> 63;
}
static __attribute__((noinline)) uint64_t invert(uint64_t x)
{
    return ~x;
}
static __attribute__((noinline)) uint64_t mix(uint64_t x)
{
    return x ^ x >> 9;
}

static void indirect_calls(unsigned long n)
{
    static uint64_t (*volatile functions[])(uint64_t) = {add_one, turn, invert, mix};
    uint64_t x = 6;
    while (n-- > 0)
        x = functions[(x ^ n) & 3](x);
    result = x;
}

const struct work integer_works[] = {
    {"integer", "sha256", sha256, 0},
    {"integer", "crc32", crc32, 0},
    {"integer", "sort", sort, 0},
    {"integer", "sieve", sieve, 0},
    {"integer", "divide", divide, 0},
    {"integer", "multiply", multiply, 0},
    {"branches", "branches", branches, 0},
    {"branches", "interpreter", interpreter, 0},
    {"calls", "calls", calls, 0},
    {"calls", "indirect-calls", indirect_calls, 0},
    {NULL, NULL, NULL, 0},
};
