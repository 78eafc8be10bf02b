/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the VM, and puts what it tells of a block together.  Called by mem.c and the views. */
#include "mem.h"

#include "vm-client.h"

#include <string.h>

uint64_t mv_mem_number(const json_t *row, const char *key)
{
    json_int_t number = json_integer_value(json_object_get(row, key));
    return number < 0 ? 0 : (uint64_t)number;
}

const char *mv_mem_text(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    if (text == NULL)
        return "-";
    /* A file's name may hold what would steer the terminal. */
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return "?";
    }
    return text;
}

const char *mv_mem_size(uint64_t bytes, char buf[MV_MEM_SIZE])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    double value = (double)bytes;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    bool whole = value == (double)(uint64_t)value;
    snprintf(buf, MV_MEM_SIZE, "%.*f %s", whole || value >= 100 ? 0 : 1, value, units[unit]);
    return buf;
}

static const json_t *find_block(const json_t *list, const json_t *block)
{
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        if (json_equal(json_object_get(entry, "id"), json_object_get(block, "id")) &&
            json_equal(json_object_get(entry, "generation"), json_object_get(block, "generation")))
            return entry;
    }
    return NULL;
}

static void add_writes(const json_t *blocks, const json_t *writes)
{
    size_t i;
    json_t *block;
    json_array_foreach(blocks, i, block)
    {
        const json_t *entry = find_block(writes, block);
        uint64_t milliseconds = mv_mem_number(entry, "milliseconds");
        double rate = milliseconds == 0
                          ? 0
                          : (double)mv_mem_number(entry, "dirty") * 1000 / (double)milliseconds;
        json_object_set_new(block, "dirty_rate", json_integer((json_int_t)rate));
        json_t *map = json_object_get(entry, "map");
        if (map != NULL)
            json_object_set(block, "written", map);
    }
}

int mv_mem_query(struct mv_vm_client *client, unsigned parts, unsigned milliseconds, json_t **ret,
                 struct mv_error *err)
{
    json_t *blocks, *writes;
    json_t *time = json_pack("{s:i}", "milliseconds", (int)milliseconds);
    json_t *none = json_object();
    if (parts > 0) {
        json_object_set_new(time, "parts", json_integer(parts));
        json_object_set_new(none, "parts", json_integer(parts));
    }
    int r = mv_vm_client_execute(client, "x-dirty-map", time, &writes, err);
    if (r < 0) {
        json_decref(none);
        return r;
    }
    r = mv_vm_client_execute(client, "x-query-blocks", none, &blocks, err);
    if (r == 0) {
        add_writes(blocks, writes);
        *ret = blocks;
    }
    json_decref(writes);
    return r;
}
