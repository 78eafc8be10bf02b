/* SPDX-License-Identifier: Apache-2.0 */
/* Double precision, and NEON. */
#include "compute.h"

#include <arm_neon.h>
#include <math.h>

/* --- five bodies, a step a round */

static struct body {
    double x[3], v[3], mass;
} bodies[5];

static void advance(void)
{
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned j = i + 1; j < 5; j++) {
            double d[3], square = 0;
            for (unsigned k = 0; k < 3; k++) {
                d[k] = bodies[i].x[k] - bodies[j].x[k];
                square += d[k] * d[k];
            }
            double pull = 0.001 / (square * sqrt(square));
            for (unsigned k = 0; k < 3; k++) {
                bodies[i].v[k] -= d[k] * bodies[j].mass * pull;
                bodies[j].v[k] += d[k] * bodies[i].mass * pull;
            }
        }
    }
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned k = 0; k < 3; k++)
            bodies[i].x[k] += 0.001 * bodies[i].v[k];
    }
}

static void n_body(unsigned long n)
{
    for (unsigned i = 0; i < 5; i++) {
        bodies[i] = (struct body){{i * 3.1, 1.7 * i * i, -0.4 * i}, {0.01 * i, -0.02, 0.03},
                                  1.0 / (1 + i)};
    }
    while (n-- > 0)
        advance();
    result = (uint64_t)(bodies[0].x[0] * 1e6);
}

/* --- 48 x 48 matrices, a product a round */

#define SIDE 48
static double left[SIDE][SIDE], right[SIDE][SIDE], product[SIDE][SIDE];

static void matrix(unsigned long n)
{
    for (unsigned i = 0; i < SIDE; i++) {
        for (unsigned j = 0; j < SIDE; j++) {
            left[i][j] = 1.0 / (1 + i + j);
            right[i][j] = i == j ? 2.0 : 0.25;
        }
    }
    while (n-- > 0) {
        for (unsigned i = 0; i < SIDE; i++) {
            for (unsigned j = 0; j < SIDE; j++) {
                double sum = 0;
                for (unsigned k = 0; k < SIDE; k++)
                    sum += left[i][k] * right[k][j];
                product[i][j] = sum;
            }
        }
        __asm__ volatile("" ::: "memory");
    }
    result = (uint64_t)(product[1][2] * 1e6);
}

static void to_integers(unsigned long n)
{
    double x = 0.5;
    int64_t sum = 0;
    while (n-- > 0) {
        x = x * 1.0001 + 0.25;
        if (x > 1e9)
            x = 0.5;
        sum += (int64_t)x;
    }
    result = (uint64_t)sum;
}

/* --- NEON: 1024 floats, or 4096 bytes, a round */

static float floats[1024];
static uint8_t pixels[4096], others[4096];
static uint32_t words[1024];

static void neon_float(unsigned long n)
{
    for (unsigned i = 0; i < 1024; i++)
        floats[i] = 1.0f / (float)(1 + i);
    while (n-- > 0) {
        float32x4_t scale = vdupq_n_f32(1.0009765625f), add = vdupq_n_f32(-0.0005f);
        for (unsigned i = 0; i < 1024; i += 4) {
            float32x4_t x = vld1q_f32(&floats[i]);
            vst1q_f32(&floats[i], vfmaq_f32(add, vmulq_f32(x, scale), scale));
        }
    }
    result = (uint64_t)(floats[3] * 1e6f);
}

static void neon_bytes(unsigned long n)
{
    for (unsigned i = 0; i < 4096; i++)
        pixels[i] = (uint8_t)(i * 7);
    while (n-- > 0) {
        for (unsigned i = 0; i < 4096; i += 16) {
            uint8x16_t x = vld1q_u8(&pixels[i]), y = vld1q_u8(&others[i]);
            vst1q_u8(&others[i], vrhaddq_u8(vmaxq_u8(x, y), veorq_u8(x, vdupq_n_u8(0x55))));
        }
    }
    result = others[5];
}

static void neon_words(unsigned long n)
{
    for (unsigned i = 0; i < 1024; i++)
        words[i] = i;
    while (n-- > 0) {
        uint32x4_t factor = vdupq_n_u32(2654435761u);
        for (unsigned i = 0; i < 1024; i += 4) {
            uint32x4_t x = vld1q_u32(&words[i]);
            x = vmlaq_u32(vshrq_n_u32(x, 7), x, factor);
            vst1q_u32(&words[i], veorq_u32(x, vshlq_n_u32(x, 5)));
        }
    }
    result = words[3];
}

/* --- cryptography and CRC, by their own instructions: 64 bytes a round */

static __attribute__((target("+crypto"))) void aes(unsigned long n)
{
    uint8x16_t state = vdupq_n_u8(1), key = vdupq_n_u8(0x5a);
    while (n-- > 0) {
        for (unsigned i = 0; i < 40; i++)
            state = vaesmcq_u8(vaeseq_u8(state, key));
    }
    result = vgetq_lane_u8(state, 0);
}

static __attribute__((target("+crypto"))) void sha256_neon(unsigned long n)
{
    uint32x4_t a = vdupq_n_u32(1), b = vdupq_n_u32(2), w = vdupq_n_u32(3);
    while (n-- > 0) {
        for (unsigned i = 0; i < 16; i++) {
            uint32x4_t old = a;
            a = vsha256hq_u32(a, b, w);
            b = vsha256h2q_u32(b, old, w);
            w = vsha256su1q_u32(vsha256su0q_u32(w, a), b, w);
        }
    }
    result = vgetq_lane_u32(a, 0);
}

static __attribute__((target("+crypto"))) void polynomials(unsigned long n)
{
    poly64_t x = 0x123456789abcdef1u;
    while (n-- > 0) {
        for (unsigned i = 0; i < 8; i++) {
            poly128_t p = vmull_p64(x, 0x87);
            x = (poly64_t)((uint64_t)p ^ (uint64_t)(p >> 64) ^ 0x55);
        }
    }
    result = x;
}

static __attribute__((target("+crc"))) void crc32_instruction(unsigned long n)
{
    uint32_t crc = ~0u, crc_c = ~0u;
    while (n-- > 0) {
        for (unsigned i = 0; i < 8; i++) {
            __asm__("crc32x %w0, %w0, %1" : "+r"(crc) : "r"(n + i));
            __asm__("crc32cx %w0, %w0, %1" : "+r"(crc_c) : "r"(n + i));
        }
    }
    result = crc ^ crc_c;
}

const struct work float_works[] = {
    {"double", "n-body", n_body, 0},
    {"double", "matrix", matrix, 0},
    {"double", "to-integers", to_integers, 0},
    {"neon-float", "neon-float", neon_float, 0},
    {"neon-integer", "neon-bytes", neon_bytes, 0},
    {"neon-integer", "neon-words", neon_words, 0},
    {"crypto", "aes", aes, 0},
    {"crypto", "sha256-instructions", sha256_neon, 0},
    {"crypto", "pmull", polynomials, 0},
    {"crypto", "crc32-instructions", crc32_instruction, 0},
    {NULL, NULL, NULL, 0},
};
