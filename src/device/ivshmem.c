/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three ivshmem devices.  ivshmem-doorbell and ivshmem-2009 have memory from
 * a server, and doorbells, whose vectors stand in the MSI-X table of BAR1, or
 * with the first patch's registers: vCPU threads ring the peers' eventfds
 * themselves; the main thread's loop reads the device's own, and interrupts.
 * ivshmem-plain shows memory that others map too, or a block that the guest has
 * already, and rings nobody.
 */
#include "ivshmem.h"

#include "block.h"
#include "cleanup.h"
#include "size.h"

#include <inttypes.h>

#define REGISTERS_SIZE 256

/* --- registers */

static const struct mv_ivshmem_register *find(const struct mv_ivshmem_device *ivshmem,
                                              uint64_t offset)
{
    for (size_t i = 0; i < ivshmem->model->register_count; i++) {
        if (ivshmem->model->registers[i].offset == offset)
            return &ivshmem->model->registers[i];
    }
    return NULL;
}

static uint32_t *value_of(struct mv_ivshmem_device *ivshmem, const struct mv_ivshmem_register *reg)
{
    return (uint32_t *)(void *)((char *)ivshmem + reg->value);
}

static uint32_t read_register(struct mv_ivshmem_device *ivshmem, uint64_t offset, bool peek)
{
    const struct mv_ivshmem_register *reg = find(ivshmem, offset);
    bool is_ext = ivshmem->has_ext && offset >= MV_IVSHMEM_EXT_START;
    if (!is_ext && (reg == NULL || reg->value == 0))
        return reg == NULL || reg->read == NULL ? 0 : reg->read(ivshmem);
    MV_LOCK_SCOPE(&ivshmem->function.device.lock);
    if (is_ext)
        return mv_ivshmem_ext_read(&ivshmem->ext, (unsigned)offset);
    uint32_t value = *value_of(ivshmem, reg);
    if (reg->read_clears && !peek) {
        *value_of(ivshmem, reg) = 0;
        mv_ivshmem_update_line(ivshmem);
    }
    return value;
}

static void write_register(struct mv_ivshmem_device *ivshmem, uint64_t offset, uint32_t value)
{
    const struct mv_ivshmem_register *reg = find(ivshmem, offset);
    bool is_ext = ivshmem->has_ext && offset >= MV_IVSHMEM_EXT_START;
    if (!is_ext && (reg == NULL || reg->value == 0)) {
        if (reg != NULL && reg->write != NULL)
            reg->write(ivshmem, value & ivshmem->model->register_bits);
        return;
    }
    MV_LOCK_SCOPE(&ivshmem->function.device.lock);
    if (is_ext) {
        mv_ivshmem_ext_write(&ivshmem->ext, (unsigned)offset, value);
    } else {
        *value_of(ivshmem, reg) = value & ivshmem->model->register_bits;
        mv_ivshmem_update_line(ivshmem);
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

static const struct mv_mmio_ops registers_ops = {read_any, write_any, peek_any, 1, 8};

/* --- as devices, and their state */

static void reset(struct mv_device *device)
{
    struct mv_ivshmem_device *ivshmem = (struct mv_ivshmem_device *)device;
    MV_LOCK_SCOPE(&device->lock);
    ivshmem->mask = ivshmem->status = 0;
    mv_ivshmem_ext_reset(&ivshmem->ext);
    mv_pci_function_reset(&ivshmem->function);
}

static void destroy(struct mv_device *device)
{
    struct mv_ivshmem_device *ivshmem = (struct mv_ivshmem_device *)device;
    mv_pci_bus_unplug(&ivshmem->function);
    mv_ivshmem_link_close(ivshmem->link);
    if (ivshmem->block != NULL && !ivshmem->shows_other)
        mv_block_destroy(ivshmem->block);
    mv_ivshmem_ext_destroy(&ivshmem->ext);
}

bool mv_ivshmem_parts(struct mv_device *device, const struct mv_block **ret_block,
                      struct mv_ivshmem_link **ret_link)
{
    if (device->ops->destroy != destroy)
        return false;
    const struct mv_ivshmem_device *ivshmem = (struct mv_ivshmem_device *)device;
    *ret_block = ivshmem->block;
    *ret_link = ivshmem->link;
    return true;
}

static void save_state(void *object)
{
    struct mv_ivshmem_device *ivshmem = object;
    if (ivshmem->link == NULL)
        return;
    mv_ivshmem_link_collect(ivshmem->link);
    mv_ivshmem_link_describe(ivshmem->link, &ivshmem->link_then);
}

static int check_bits(const char *name, uint32_t value, uint32_t bits, struct mv_error *err)
{
    return (value & ~bits) == 0
               ? 0
               : mv_state_refuse(err, name, "0x%x has bits that are never set: 0x%x are legal",
                                 value, bits);
}

static int check_state(const void *object, struct mv_error *err)
{
    const struct mv_ivshmem_device *ivshmem = object;
    uint32_t bits = ivshmem->model->register_bits;
    int r = mv_pci_function_check(&ivshmem->function, err);
    if (r == 0)
        r = check_bits("mask", ivshmem->mask, bits, err);
    if (r == 0)
        r = check_bits("status", ivshmem->status, bits, err);
    if (r == 0 && ivshmem->function.msix != NULL)
        r = mv_pci_msix_check(&ivshmem->msix, err);
    return r == 0 && ivshmem->link != NULL ? mv_ivshmem_ext_check(&ivshmem->ext, err) : r;
}

/* Let go of the lock, and have the guest hear of a change, where it wants to. */
static void tell_change(struct mv_ivshmem_device *ivshmem, bool wanted)
{
    uint32_t vector = ivshmem->ext.notify;
    pthread_mutex_unlock(&ivshmem->function.device.lock);
    if (wanted)
        ivshmem->model->rung(ivshmem, vector, 1);
}

/* The guest is another peer now, with others around it, than when it was saved. */
static void state_loaded(void *object)
{
    struct mv_ivshmem_device *ivshmem = object;
    {
        MV_LOCK_SCOPE(&ivshmem->function.device.lock);
        mv_ivshmem_update_line(ivshmem);
    }
    mv_pci_function_loaded(&ivshmem->function);
    if (ivshmem->link == NULL)
        return;
    mv_ivshmem_link_resume(ivshmem->link, &ivshmem->link_then);
    pthread_mutex_lock(&ivshmem->function.device.lock);
    tell_change(ivshmem, ivshmem->has_ext && mv_ivshmem_ext_loaded(&ivshmem->ext));
}

/*
 * The part of the state that all of them have, and those have that have a link.
 * The connection is not part of it, and its peers are not: who loads a state has
 * a connection of its own, and tells the guest so where it can be told.
 */
#define ANY(name, member, type) MV_STATE_ANY(name, struct mv_ivshmem_device, member, type)
#define FIELDS                                                                                     \
    MV_PCI_STATE_FIELD(struct mv_ivshmem_device, function), ANY("mask", mask, MV_STATE_U32),       \
        ANY("status", status, MV_STATE_U32)
#define LINK_FIELDS                                                                                \
    FIELDS, MV_IVSHMEM_EXT_STATE_FIELDS(struct mv_ivshmem_device, ext),                            \
        MV_STATE_SAME("ext", struct mv_ivshmem_device, has_ext, MV_STATE_BOOL),                    \
        MV_STATE_RANGE("link-id", struct mv_ivshmem_device, link_then.id, MV_STATE_U32, 0,         \
                       MV_IVSHMEM_EXT_IDS),                                                        \
        ANY("link-sent", link_then.sent, MV_STATE_U64),                                            \
        ANY("link-received", link_then.received, MV_STATE_U64)
static const struct mv_state_field fields_plain[] = {FIELDS};
static const struct mv_state_field fields_2009[] = {LINK_FIELDS};
static const struct mv_state_field fields_doorbell[] = {
    LINK_FIELDS, MV_PCI_MSIX_STATE_FIELDS(struct mv_ivshmem_device, msix)};

#define STATE_TABLE(type_name, fields_of)                                                          \
    MV_STATE_TABLE(struct mv_ivshmem_device, type_name, 1, fields_of,                              \
                   .mutex = offsetof(struct mv_ivshmem_device, function.device.lock),              \
                   .lock = mv_pci_function_mutex, .saving = save_state, .check = check_state,      \
                   .loaded = state_loaded)
static const struct mv_state_table state_plain = STATE_TABLE("ivshmem-plain", fields_plain);
static const struct mv_state_table state_2009 = STATE_TABLE("ivshmem-2009", fields_2009);
static const struct mv_state_table state_doorbell =
    STATE_TABLE("ivshmem-doorbell", fields_doorbell);

static const struct mv_device_ops ops_doorbell = {"ivshmem-doorbell", &state_doorbell, reset,
                                                  destroy};
static const struct mv_device_ops ops_2009 = {"ivshmem-2009", &state_2009, reset, destroy};
static const struct mv_device_ops ops_plain = {"ivshmem-plain", &state_plain, reset, destroy};

/* --- with a server */

static int take_memory(void *opaque, int fd, uint64_t size, struct mv_error *err)
{
    struct mv_ivshmem_device *ivshmem = opaque;
    const struct mv_pci_device_params *params = ivshmem->making;
    char has[MV_SIZE_TEXT], wants[MV_SIZE_TEXT];
    if (size < ivshmem->least_size)
        return mv_error_set(err, EINVAL,
                            "its memory has %s, and %s are asked for: give the server --size "
                            "%" PRIu64 "K, or ask for less",
                            mv_size_format(size, has), mv_size_format(ivshmem->least_size, wants),
                            ivshmem->least_size / MV_KIB);
    return ivshmem->block == NULL
               ? mv_block_create_shared(params->blocks, params->path, "bar2", size, fd,
                                        params->backing, &ivshmem->block, err)
               : mv_block_replace_fd(ivshmem->block, fd, err);
}

static void take_ring(void *opaque, unsigned vector, uint64_t count)
{
    struct mv_ivshmem_device *ivshmem = opaque;
    ivshmem->model->rung(ivshmem, vector, count);
}

static void take_connected(void *opaque, bool connected)
{
    struct mv_ivshmem_device *ivshmem = opaque;
    pthread_mutex_lock(&ivshmem->function.device.lock);
    tell_change(ivshmem, mv_ivshmem_ext_set_connected(&ivshmem->ext, connected));
}

static void take_peer(void *opaque, unsigned id, unsigned vectors)
{
    struct mv_ivshmem_device *ivshmem = opaque;
    pthread_mutex_lock(&ivshmem->function.device.lock);
    tell_change(ivshmem, mv_ivshmem_ext_set_peer(&ivshmem->ext, id, vectors));
}

static const struct mv_ivshmem_link_ops link_ops = {.memory = take_memory, .rung = take_ring};
static const struct mv_ivshmem_link_ops link_ops_ext = {
    .memory = take_memory, .rung = take_ring, .connected = take_connected, .peer = take_peer};

static int open_link(struct mv_ivshmem_device *ivshmem, const struct mv_pci_device_params *params,
                     struct mv_error *err)
{
    const struct mv_ivshmem_link_config config = {
        .loop = params->loop,
        .path = params->socket,
        .name = params->path,
        .vectors = params->vectors,
        .hello = params->hello,
        .ops = params->ext ? &link_ops_ext : &link_ops,
        .opaque = ivshmem,
    };
    ivshmem->making = params;
    ivshmem->least_size = params->size;
    ivshmem->has_ext = params->ext;
    mv_ivshmem_ext_init(&ivshmem->ext, params->vectors);
    int r = mv_ivshmem_link_open(&config, &ivshmem->link, err);
    ivshmem->making = NULL;
    return r;
}

/* --- without one */

static int take_block(struct mv_ivshmem_device *ivshmem, const struct mv_pci_device_params *params,
                      struct mv_error *err)
{
    uint64_t size = params->block != NULL ? params->block->size : params->size;
    char text[MV_SIZE_TEXT];
    if (size < 4096 || (size & (size - 1)) != 0)
        return mv_error_set(err, EINVAL,
                            "the size of %s cannot be that of a BAR: give a power of two from 4K "
                            "up, such as size=64M",
                            mv_size_format(size, text));
    ivshmem->shows_other = params->block != NULL;
    ivshmem->block = params->block;
    return ivshmem->shows_other ? 0
                                : mv_block_create_backed(params->blocks, params->path, "bar2", size,
                                                         params->backing, &ivshmem->block, err);
}

/* --- making */

static int create(const struct mv_ivshmem_model *model, const struct mv_device_ops *ops,
                  const struct mv_pci_device_params *params, struct mv_pci_function **ret,
                  struct mv_error *err)
{
    struct mv_ivshmem_device *ivshmem =
        mv_device_alloc(sizeof *ivshmem, ops, "ivshmem registers", &registers_ops, err);
    if (ivshmem == NULL)
        return -ENOMEM;
    ivshmem->model = model;
    mv_pci_function_init(&ivshmem->function, ops, &model->ids);
    int r = ops == &ops_plain ? take_block(ivshmem, params, err) : open_link(ivshmem, params, err);
    if (r < 0) {
        mv_device_destroy(&ivshmem->function.device);
        return r;
    }
    mv_pci_bar_mmio(&ivshmem->function, 0, REGISTERS_SIZE, &ivshmem->function.device.region);
    mv_pci_bar_ram(&ivshmem->function, model->memory_bar, ivshmem->block);
    if (ops == &ops_doorbell)
        mv_pci_msix_add(&ivshmem->function, &ivshmem->msix, 1, params->vectors);
    *ret = &ivshmem->function;
    return 0;
}

int mv_ivshmem_doorbell_create(const struct mv_pci_device_params *params,
                               struct mv_pci_function **ret, struct mv_error *err)
{
    return create(&mv_ivshmem_revision1, &ops_doorbell, params, ret, err);
}

int mv_ivshmem_2009_create(const struct mv_pci_device_params *params, struct mv_pci_function **ret,
                           struct mv_error *err)
{
    return create(&mv_ivshmem_2009, &ops_2009, params, ret, err);
}

int mv_ivshmem_plain_create(const struct mv_pci_device_params *params, struct mv_pci_function **ret,
                            struct mv_error *err)
{
    return create(&mv_ivshmem_revision1_plain, &ops_plain, params, ret, err);
}
