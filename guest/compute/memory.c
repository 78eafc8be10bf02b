/* SPDX-License-Identifier: Apache-2.0 */
/* Copies, bytes and strings, and chains of pointers. */
#include "compute.h"

#include <string.h>

#define BLOCK (64u << 10)

static uint8_t from[BLOCK], to[BLOCK + 64];

/* 64 KiB a round. */
static void copy(unsigned long n)
{
    while (n-- > 0) {
        memcpy(to, from, BLOCK);
        __asm__ volatile("" ::: "memory");
    }
}

static void copy_unaligned(unsigned long n)
{
    while (n-- > 0) {
        memcpy(to + 13, from, BLOCK);
        __asm__ volatile("" ::: "memory");
    }
}

static void set(unsigned long n)
{
    while (n-- > 0) {
        memset(to, (int)n, BLOCK);
        __asm__ volatile("" ::: "memory");
    }
}

/* A byte a round. */
static void bytes(unsigned long n)
{
    uint64_t sum = 0;
    for (unsigned long i = 0; i < n; i++) {
        uint8_t byte = from[i % BLOCK];
        to[i % BLOCK] = (uint8_t)(byte ^ 0x20);
        sum += byte == ' ';
        __asm__ volatile("" : "+r"(sum));
    }
    result = sum;
}

/* Upper case, words, and a reversed copy of a line of 77 characters. */
static void strings(unsigned long n)
{
    static const char line[] =
        "the quick brown fox jumps over the lazy dog, and back to where it came from";
    char copy_of[sizeof line], reversed[sizeof line];
    unsigned words = 0;
    while (n-- > 0) {
        strcpy(copy_of, line);
        size_t length = strlen(copy_of);
        for (size_t i = 0; i < length; i++) {
            if (copy_of[i] >= 'a' && copy_of[i] <= 'z')
                copy_of[i] = (char)(copy_of[i] - 32);
            reversed[length - 1 - i] = copy_of[i];
        }
        reversed[length] = '\0';
        for (char *at = copy_of; (at = strchr(at, ' ')) != NULL; at++)
            words++;
        words += strcmp(copy_of, reversed) > 0;
        __asm__ volatile("" ::: "memory");
    }
    result = words;
}

/* --- a step a round, through 16 KiB */

#define LINKS 2048

static void pointer_chase(unsigned long n)
{
    static size_t next[LINKS];
    size_t at = 0;
    uint64_t seed = 7;
    for (size_t i = 0; i < LINKS; i++)
        next[i] = i;
    /* One cycle through all of them (Sattolo). */
    for (size_t i = LINKS - 1; i > 0; i--) {
        size_t j = next_random(&seed) % i, other = next[i];
        next[i] = next[j];
        next[j] = other;
    }
    while (n-- > 0)
        at = next[at];
    result = at;
}

const struct work memory_works[] = {
    {"copies", "copy", copy, 0},
    {"copies", "copy-unaligned", copy_unaligned, 0},
    {"copies", "set", set, 0},
    {"strings", "bytes", bytes, 0},
    {"strings", "strings", strings, 0},
    {"chase", "pointer-chase", pointer_chase, 0},
    {NULL, NULL, NULL, 0},
};
