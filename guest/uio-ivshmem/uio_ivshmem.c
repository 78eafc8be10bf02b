// SPDX-License-Identifier: GPL-2.0-only
/*
 * uio_ivshmem: inter-VM shared memory for user space, one UIO device a vector.
 *
 * QEMU's and memvisor's ivshmem function (1af4:1110) has registers in BAR0, its
 * MSI-X table in BAR1 and the shared memory in BAR2.  uio_pci_generic knows
 * INTx alone.  This driver takes all the MSI-X vectors that the guest is given
 * and registers a UIO device named "ivshmem-VECTOR" for each, so that a process
 * may poll any number of them; a function without interrupts gets one UIO
 * device, "ivshmem", for its memory.
 *
 * Each UIO device maps the registers (map 0) as device memory and the shared
 * memory (map 1) cached, as is right for what is RAM of the host: atomics and
 * unaligned accesses work there as in the guest's own memory.  A BAR may start
 * within a page: the map's offset attribute says where.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uio_driver.h>

enum { REGISTERS, MEMORY };
static const int bar_of_map[] = {[REGISTERS] = 0, [MEMORY] = 2};
static const char *const name_of_map[] = {[REGISTERS] = "registers", [MEMORY] = "memory"};

struct ivshmem_vector {
    struct uio_info info;
    char name[16];
};

struct ivshmem_device {
    unsigned int registered;
    unsigned int count;
    struct ivshmem_vector vectors[];
};

/* MSI-X comes as an edge of the vector's own: there is nothing to ask the device. */
static irqreturn_t ivshmem_interrupt(int irq, struct uio_info *info)
{
    return IRQ_HANDLED;
}

static int ivshmem_mmap(struct uio_info *info, struct vm_area_struct *vma)
{
    unsigned long map = vma->vm_pgoff;

    if (map >= ARRAY_SIZE(bar_of_map))
        return -EINVAL;
    if (map == REGISTERS)
        vma->vm_page_prot = pgprot_device(vma->vm_page_prot);
    vma->vm_pgoff = 0;
    return vm_iomap_memory(vma, info->mem[map].addr, info->mem[map].size);
}

static void ivshmem_describe(struct pci_dev *pdev, struct ivshmem_vector *v, unsigned int vector,
                             bool interrupts)
{
    unsigned int map;

    if (interrupts)
        snprintf(v->name, sizeof(v->name), "ivshmem-%u", vector);
    else
        strscpy(v->name, "ivshmem", sizeof(v->name));
    v->info.name = v->name;
    v->info.version = "1";
    v->info.mmap = ivshmem_mmap;
    for (map = 0; map < ARRAY_SIZE(bar_of_map); map++) {
        struct uio_mem *mem = &v->info.mem[map];
        resource_size_t start = pci_resource_start(pdev, bar_of_map[map]);

        mem->name = name_of_map[map];
        mem->addr = start & PAGE_MASK;
        mem->offs = start & ~PAGE_MASK;
        mem->size = PAGE_ALIGN(mem->offs + pci_resource_len(pdev, bar_of_map[map]));
        mem->memtype = UIO_MEM_PHYS;
    }
    if (interrupts) {
        v->info.irq = pci_irq_vector(pdev, vector);
        v->info.handler = ivshmem_interrupt;
    } else {
        v->info.irq = UIO_IRQ_NONE;
    }
}

static void ivshmem_unregister(struct ivshmem_device *ivshmem)
{
    while (ivshmem->registered)
        uio_unregister_device(&ivshmem->vectors[--ivshmem->registered].info);
}

static int ivshmem_register(struct pci_dev *pdev, struct ivshmem_device *ivshmem, bool interrupts)
{
    int err;

    for (; ivshmem->registered < ivshmem->count; ivshmem->registered++) {
        struct ivshmem_vector *v = &ivshmem->vectors[ivshmem->registered];

        ivshmem_describe(pdev, v, ivshmem->registered, interrupts);
        err = uio_register_device(&pdev->dev, &v->info);
        if (err) {
            ivshmem_unregister(ivshmem);
            return err;
        }
    }
    return 0;
}

static int ivshmem_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
    struct ivshmem_device *ivshmem;
    int vectors, err;

    err = pcim_enable_device(pdev);
    if (err)
        return dev_err_probe(&pdev->dev, err, "cannot enable the device\n");
    if (!pci_resource_len(pdev, bar_of_map[REGISTERS]) ||
        !pci_resource_len(pdev, bar_of_map[MEMORY]))
        return dev_err_probe(&pdev->dev, -ENODEV, "BAR0 or BAR2 has no place\n");
    pci_set_master(pdev);

    vectors = pci_msix_vec_count(pdev);
    if (vectors > 0) {
        vectors = pci_alloc_irq_vectors(pdev, 1, vectors, PCI_IRQ_MSIX);
        if (vectors < 0)
            return dev_err_probe(&pdev->dev, vectors, "no MSI-X vectors\n");
    } else {
        vectors = 0;
    }

    ivshmem = kvzalloc(struct_size(ivshmem, vectors, max(vectors, 1)), GFP_KERNEL);
    if (!ivshmem) {
        err = -ENOMEM;
        goto free_vectors;
    }
    ivshmem->count = max(vectors, 1);
    err = ivshmem_register(pdev, ivshmem, vectors > 0);
    if (err) {
        dev_err(&pdev->dev, "cannot register UIO devices: %d\n", err);
        goto free_memory;
    }
    pci_set_drvdata(pdev, ivshmem);
    dev_info(&pdev->dev, "%d vectors, %llu MiB shared\n", vectors,
             (unsigned long long)pci_resource_len(pdev, bar_of_map[MEMORY]) >> 20);
    return 0;

free_memory:
    kvfree(ivshmem);
free_vectors:
    pci_free_irq_vectors(pdev);
    return err;
}

static void ivshmem_remove(struct pci_dev *pdev)
{
    struct ivshmem_device *ivshmem = pci_get_drvdata(pdev);

    ivshmem_unregister(ivshmem);
    pci_free_irq_vectors(pdev);
    kvfree(ivshmem);
}

static const struct pci_device_id ivshmem_ids[] = {
    {PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, 0x1110)},
    {0},
};
MODULE_DEVICE_TABLE(pci, ivshmem_ids);

static struct pci_driver ivshmem_driver = {
    .name = KBUILD_MODNAME,
    .id_table = ivshmem_ids,
    .probe = ivshmem_probe,
    .remove = ivshmem_remove,
};
module_pci_driver(ivshmem_driver);

MODULE_DESCRIPTION("Inter-VM shared memory for user space, a UIO device a vector");
MODULE_AUTHOR("The memvisor authors");
MODULE_LICENSE("GPL");
