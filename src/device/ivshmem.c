/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that ivshmem functions have in common: see ivshmem.h. */
#include "ivshmem.h"

#include "block.h"
#include "cleanup.h"
#include "size.h"

#include <stdlib.h>

#define REGISTERS_SIZE 256

static const struct mv_ivshmem_register *find(const struct mv_ivshmem_device *ivshmem,
                                              uint64_t offset)
{
    for (size_t i = 0; i < ivshmem->model->register_count; i++) {
        if (ivshmem->model->registers[i].offset == offset)
            return &ivshmem->model->registers[i];
    }
    return NULL;
}

static uint32_t read_register(struct mv_ivshmem_device *ivshmem, uint64_t offset, bool peek)
{
    const struct mv_ivshmem_register *reg = find(ivshmem, offset);
    if (ivshmem->has_ext && offset >= MV_IVSHMEM_EXT_START) {
        MV_LOCK_SCOPE(&ivshmem->lock);
        return mv_ivshmem_ext_read(&ivshmem->ext, (unsigned)offset);
    }
    if (reg == NULL || reg->read == NULL)
        return 0;
    return peek && reg->peek != NULL ? reg->peek(ivshmem) : reg->read(ivshmem);
}

static void write_register(struct mv_ivshmem_device *ivshmem, uint64_t offset, uint32_t value)
{
    const struct mv_ivshmem_register *reg = find(ivshmem, offset);
    if (ivshmem->has_ext && offset >= MV_IVSHMEM_EXT_START) {
        MV_LOCK_SCOPE(&ivshmem->lock);
        mv_ivshmem_ext_write(&ivshmem->ext, (unsigned)offset, value);
    } else if (reg != NULL && reg->write != NULL) {
        reg->write(ivshmem, value & ivshmem->model->register_bits);
    }
}

/*
 * Accesses that are not those of a register do what they do to QEMU's device,
 * since its drivers may make them: 8 bytes are two words, less than 4 are a
 * word, with zeros above where they are written and from its beginning.
 */
static uint64_t read_words(void *opaque, uint64_t offset, unsigned size, bool peek)
{
    if (offset % 4 != 0)
        return 0;
    uint64_t low = read_register(opaque, offset, peek);
    return size < 8 ? low : low | (uint64_t)read_register(opaque, offset + 4, peek) << 32;
}

static uint64_t read_any(void *opaque, uint64_t offset, unsigned size)
{
    return read_words(opaque, offset, size, false);
}

static uint64_t peek_any(void *opaque, uint64_t offset, unsigned size)
{
    return read_words(opaque, offset, size, true);
}

static void write_any(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    write_register(opaque, offset & ~UINT64_C(3), (uint32_t)value);
    if (size == 8)
        write_register(opaque, offset + 4, (uint32_t)(value >> 32));
}

static const struct mv_mmio_ops registers_ops = {
    .read = read_any, .peek = peek_any, .write = write_any, .min_access = 1, .max_access = 8};

struct mv_ivshmem_device *mv_ivshmem_device_alloc(const struct mv_ivshmem_model *model,
                                                  const struct mv_device_ops *ops)
{
    struct mv_ivshmem_device *ivshmem = calloc(1, sizeof *ivshmem);
    if (ivshmem == NULL)
        return NULL;
    ivshmem->model = model;
    pthread_mutex_init(&ivshmem->lock, NULL);
    mv_pci_function_init(&ivshmem->function, ops, &model->ids);
    return ivshmem;
}

void mv_ivshmem_device_add_bars(struct mv_ivshmem_device *ivshmem)
{
    ivshmem->registers = (struct mv_mmio_region){
        .name = "ivshmem registers", .ops = &registers_ops, .opaque = ivshmem};
    mv_pci_bar_mmio(&ivshmem->function, 0, REGISTERS_SIZE, &ivshmem->registers);
    mv_pci_bar_ram(&ivshmem->function, ivshmem->model->memory_bar, ivshmem->block);
}

int mv_ivshmem_device_check_size(uint64_t size, struct mv_error *err)
{
    if (size >= 4096 && (size & (size - 1)) == 0)
        return 0;
    char text[MV_SIZE_TEXT];
    return mv_error_set(err, EINVAL,
                        "the size of %s cannot be that of a BAR: give a power of two from 4K up, "
                        "such as size=64M",
                        mv_size_format(size, text));
}

bool mv_ivshmem_parts(struct mv_device *device, const struct mv_block **ret_block,
                      struct mv_ivshmem_link **ret_link)
{
    if (device->ops->destroy != mv_ivshmem_device_destroy)
        return false;
    const struct mv_ivshmem_device *ivshmem = (struct mv_ivshmem_device *)device;
    *ret_block = ivshmem->block;
    *ret_link = ivshmem->link;
    return true;
}

void mv_ivshmem_device_reset(struct mv_device *device)
{
    struct mv_ivshmem_device *ivshmem = (struct mv_ivshmem_device *)device;
    MV_LOCK_SCOPE(&ivshmem->lock);
    ivshmem->mask = ivshmem->status = 0;
    mv_ivshmem_ext_reset(&ivshmem->ext);
    mv_pci_function_reset(&ivshmem->function);
}

/* --- the state tables' hooks */

void mv_ivshmem_state_saving(void *object)
{
    struct mv_ivshmem_device *ivshmem = object;
    if (ivshmem->link == NULL)
        return;
    mv_ivshmem_link_collect(ivshmem->link);
    mv_ivshmem_link_describe(ivshmem->link, &ivshmem->link_then);
}

int mv_ivshmem_state_check(const void *object, struct mv_error *err)
{
    const struct mv_ivshmem_device *ivshmem = object;
    uint32_t bits = ivshmem->model->register_bits;
    int r = mv_pci_function_check(&ivshmem->function, err);
    if (r == 0 && (ivshmem->mask & ~bits) != 0)
        r = mv_state_refuse(err, "mask", "0x%x has bits that are never set: 0x%x are legal",
                            ivshmem->mask, bits);
    if (r == 0 && (ivshmem->status & ~bits) != 0)
        r = mv_state_refuse(err, "status", "0x%x has bits that are never set: 0x%x are legal",
                            ivshmem->status, bits);
    if (r == 0 && ivshmem->function.msix != NULL)
        r = mv_pci_msix_check(&ivshmem->msix, err);
    return r == 0 && ivshmem->link != NULL ? mv_ivshmem_ext_check(&ivshmem->ext, err) : r;
}

/* The guest is another peer now, with others around it, than when it was saved. */
static void follow_link(struct mv_ivshmem_device *ivshmem)
{
    mv_ivshmem_link_resume(ivshmem->link, &ivshmem->link_then);
    if (!ivshmem->has_ext)
        return;
    pthread_mutex_lock(&ivshmem->lock);
    bool wanted = mv_ivshmem_ext_loaded(&ivshmem->ext);
    uint32_t vector = ivshmem->ext.notify;
    pthread_mutex_unlock(&ivshmem->lock);
    if (wanted)
        ivshmem->model->rung(ivshmem, vector, 1);
}

void mv_ivshmem_state_loaded(void *object)
{
    struct mv_ivshmem_device *ivshmem = object;
    {
        MV_LOCK_SCOPE(&ivshmem->lock);
        mv_ivshmem_update_line(ivshmem);
    }
    mv_pci_function_loaded(&ivshmem->function);
    if (ivshmem->link != NULL)
        follow_link(ivshmem);
}

void mv_ivshmem_device_destroy(struct mv_device *device)
{
    struct mv_ivshmem_device *ivshmem = (struct mv_ivshmem_device *)device;
    mv_pci_bus_unplug(&ivshmem->function);
    mv_ivshmem_link_close(ivshmem->link);
    if (ivshmem->block != NULL && !ivshmem->shows_other)
        mv_block_destroy(ivshmem->block);
    mv_ivshmem_ext_destroy(&ivshmem->ext);
    pthread_mutex_destroy(&ivshmem->lock);
    free(ivshmem);
}
