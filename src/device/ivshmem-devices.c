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

/* Those of the plain device, of those with a link, and with MSI-X. */
static const struct mv_state_field fields_plain[] = {MV_IVSHMEM_STATE_FIELDS};
static const struct mv_state_field fields_2009[] = {MV_IVSHMEM_LINK_STATE_FIELDS};
static const struct mv_state_field fields_doorbell[] = {
    MV_IVSHMEM_LINK_STATE_FIELDS, MV_PCI_MSIX_STATE_FIELDS(struct mv_ivshmem_device, msix)};

#define STATE_TABLE(type_name, fields_of)                                                          \
    MV_STATE_TABLE(struct mv_ivshmem_device, type_name, 1, fields_of,                              \
                   .mutex = offsetof(struct mv_ivshmem_device, lock),                              \
                   .lock = mv_pci_function_mutex, .saving = mv_ivshmem_state_saving,               \
                   .check = mv_ivshmem_state_check, .loaded = mv_ivshmem_state_loaded)
static const struct mv_state_table state_plain = STATE_TABLE("ivshmem-plain", fields_plain);
static const struct mv_state_table state_2009 = STATE_TABLE("ivshmem-2009", fields_2009);
static const struct mv_state_table state_doorbell = STATE_TABLE("ivshmem-doorbell", fields_doorbell);

#define DEVICE_OPS(type_name, table)                                                               \
    {                                                                                              \
        .type = (type_name), .state = &(table), .reset = mv_ivshmem_device_reset,                  \
        .destroy = mv_ivshmem_device_destroy,                                                      \
    }
static const struct mv_device_ops ops_doorbell = DEVICE_OPS("ivshmem-doorbell", state_doorbell);
static const struct mv_device_ops ops_2009 = DEVICE_OPS("ivshmem-2009", state_2009);
static const struct mv_device_ops ops_plain = DEVICE_OPS("ivshmem-plain", state_plain);

/* --- with a server */

static int make_block(struct mv_ivshmem_device *ivshmem, int fd, uint64_t size,
                      struct mv_error *err)
{
    const struct mv_pci_device_params *params = ivshmem->making;
    return mv_block_create_shared(params->blocks, params->path, "bar2", size, fd, &ivshmem->block,
                                  err);
}

static int take_memory(void *opaque, int fd, uint64_t size, struct mv_error *err)
{
    struct mv_ivshmem_device *ivshmem = opaque;
    char has[MV_SIZE_TEXT], wants[MV_SIZE_TEXT];
    if (size < ivshmem->least_size)
        return mv_error_set(err, EINVAL,
                            "its memory has %s, and %s are asked for: give the server --size "
                            "%" PRIu64 "K, or ask for less",
                            mv_size_format(size, has), mv_size_format(ivshmem->least_size, wants),
                            ivshmem->least_size / MV_KIB);
    return ivshmem->block == NULL ? make_block(ivshmem, fd, size, err)
                                  : mv_block_replace_fd(ivshmem->block, fd, err);
}

static void take_ring(void *opaque, unsigned vector, uint64_t count)
{
    struct mv_ivshmem_device *ivshmem = opaque;
    ivshmem->model->rung(ivshmem, vector, count);
}

static void tell_change(struct mv_ivshmem_device *ivshmem, bool wanted, uint32_t vector)
{
    if (wanted)
        ivshmem->model->rung(ivshmem, vector, 1);
}

static void take_connected(void *opaque, bool connected)
{
    struct mv_ivshmem_device *ivshmem = opaque;
    pthread_mutex_lock(&ivshmem->lock);
    bool wanted = mv_ivshmem_ext_set_connected(&ivshmem->ext, connected);
    uint32_t vector = ivshmem->ext.notify;
    pthread_mutex_unlock(&ivshmem->lock);
    tell_change(ivshmem, wanted, vector);
}

static void take_peer(void *opaque, unsigned id, unsigned vectors)
{
    struct mv_ivshmem_device *ivshmem = opaque;
    pthread_mutex_lock(&ivshmem->lock);
    bool wanted = mv_ivshmem_ext_set_peer(&ivshmem->ext, id, vectors);
    uint32_t vector = ivshmem->ext.notify;
    pthread_mutex_unlock(&ivshmem->lock);
    tell_change(ivshmem, wanted, vector);
}

static const struct mv_ivshmem_link_ops link_ops = {.memory = take_memory, .rung = take_ring};
static const struct mv_ivshmem_link_ops link_ops_ext = {.memory = take_memory,
                                                        .rung = take_ring,
                                                        .connected = take_connected,
                                                        .peer = take_peer};

static int open_link(struct mv_ivshmem_device *ivshmem, const struct mv_pci_device_params *params,
                     struct mv_error *err)
{
    const struct mv_ivshmem_link_config config = {
        .loop = params->loop,
        .path = params->socket,
        .name = params->path,
        .vectors = params->vectors,
        .hello = params->hello,
        .ops = ivshmem->has_ext ? &link_ops_ext : &link_ops,
        .opaque = ivshmem,
    };
    ivshmem->making = params;
    int r = mv_ivshmem_link_open(&config, &ivshmem->link, err);
    ivshmem->making = NULL;
    return r;
}

static int create(const struct mv_ivshmem_model *model, const struct mv_device_ops *ops,
                  const struct mv_pci_device_params *params, struct mv_ivshmem_device **ret,
                  struct mv_error *err)
{
    struct mv_ivshmem_device *ivshmem = mv_ivshmem_device_alloc(model, ops);
    if (ivshmem == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the device");
    ivshmem->least_size = params->size;
    ivshmem->has_ext = params->ext;
    mv_ivshmem_ext_init(&ivshmem->ext, params->vectors);
    int r = open_link(ivshmem, params, err);
    if (r < 0) {
        mv_ivshmem_device_destroy(&ivshmem->function.device);
        return r;
    }
    mv_ivshmem_device_add_bars(ivshmem);
    *ret = ivshmem;
    return 0;
}

int mv_ivshmem_doorbell_create(const struct mv_pci_device_params *params,
                               struct mv_pci_function **ret, struct mv_error *err)
{
    struct mv_ivshmem_device *ivshmem;
    int r = create(&mv_ivshmem_revision1, &ops_doorbell, params, &ivshmem, err);
    if (r < 0)
        return r;
    mv_pci_msix_add(&ivshmem->function, &ivshmem->msix, 1, params->vectors);
    *ret = &ivshmem->function;
    return 0;
}

int mv_ivshmem_2009_create(const struct mv_pci_device_params *params, struct mv_pci_function **ret,
                           struct mv_error *err)
{
    struct mv_ivshmem_device *ivshmem;
    int r = create(&mv_ivshmem_2009, &ops_2009, params, &ivshmem, err);
    if (r == 0)
        *ret = &ivshmem->function;
    return r;
}

/* --- without one */

static int take_block(struct mv_ivshmem_device *ivshmem, const struct mv_pci_device_params *params,
                      struct mv_error *err)
{
    ivshmem->shows_other = params->block != NULL;
    ivshmem->block = params->block;
    if (ivshmem->shows_other)
        return 0;
    return mv_block_create_backed(params->blocks, params->path, "bar2", params->size,
                                  params->backing, &ivshmem->block, err);
}

int mv_ivshmem_plain_create(const struct mv_pci_device_params *params, struct mv_pci_function **ret,
                            struct mv_error *err)
{
    uint64_t size = params->block != NULL ? params->block->size : params->size;
    int r = mv_ivshmem_device_check_size(size, err);
    if (r < 0)
        return r;
    struct mv_ivshmem_device *ivshmem =
        mv_ivshmem_device_alloc(&mv_ivshmem_revision1_plain, &ops_plain);
    if (ivshmem == NULL)
        return mv_error_set(err, ENOMEM, "no memory for the device");
    r = take_block(ivshmem, params, err);
    if (r < 0) {
        mv_ivshmem_device_destroy(&ivshmem->function.device);
        return r;
    }
    mv_ivshmem_device_add_bars(ivshmem);
    *ret = &ivshmem->function;
    return 0;
}
