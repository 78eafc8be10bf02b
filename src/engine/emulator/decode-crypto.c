/* SPDX-License-Identifier: Apache-2.0 */
/* Cryptographic forms of the decode table (Arm ARM C4.1.96). */
#include "decode-vector.h"

static bool decode_registers(uint32_t insn, struct mv_op *op)
{
    mv_vector_registers(insn, op);
    op->rm = (uint8_t)mv_bits(insn, 20, 16);
    return true;
}

static bool decode_pmull(uint32_t insn, struct mv_op *op)
{
    op->ra = (uint8_t)mv_bit(insn, 30);
    return decode_registers(insn, op);
}

#define AES(opcode, name)                                                                          \
    {                                                                                              \
        "01001110 00 10100 " opcode " 10 nnnnn ddddd", #name, decode_registers, ONLY(name)         \
    }
#define SHA_3(opcode, name)                                                                        \
    {                                                                                              \
        "01011110 00 0 mmmmm 0 " opcode " 00 nnnnn ddddd", #name, decode_registers, ONLY(name)     \
    }
#define SHA_2(opcode, name)                                                                        \
    {                                                                                              \
        "01011110 00 10100 " opcode " 10 nnnnn ddddd", #name, decode_registers, ONLY(name)         \
    }

static const struct mv_a64_form forms[] = {
    AES("00100", aese),
    AES("00101", aesd),
    AES("00110", aesmc),
    AES("00111", aesimc),
    SHA_3("000", sha1c),
    SHA_3("001", sha1p),
    SHA_3("010", sha1m),
    SHA_3("011", sha1su0),
    SHA_3("100", sha256h),
    SHA_3("101", sha256h2),
    SHA_3("110", sha256su1),
    SHA_2("00000", sha1h),
    SHA_2("00001", sha1su1),
    SHA_2("00010", sha256su0),
    {"0 q 0 01110 11 1 mmmmm 1110 00 nnnnn ddddd", "pmull (doublewords)", decode_pmull,
     ONLY(vpmull_64)},
};
MV_A64_GROUP(mv_a64_crypto, "crypto", forms);
