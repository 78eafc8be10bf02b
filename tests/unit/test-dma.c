/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus/dma.c: what a device reaches of guest memory and how, what it is refused
 * for, and threads that race with each other, the guest's settings and the dirty
 * log.  Function 1 is a master; 2 shows 2 MiB of memory of its own.
 */
#include "pci-fixture.h"

#include "dirty-log.h"

#include <pthread.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define RAM  UINT64_C(0x60000000) /* the fixture's bank of 1 MiB, another behind it */
#define BAR  HIGH_WINDOW
#define NEXT (RAM + MV_MIB)
#define HOLE (RAM + 2 * MV_MIB)

static struct mv_pci_function function, other;
static struct mv_dma *const dma = &function.dma;
static struct mv_block *ram, *next, *bar;
static const struct mv_device_ops device_ops = {.type = "test"};

static void set_command(unsigned slot, uint32_t command)
{
    mv_pci_bus_write(bus, slot, MV_PCI_COMMAND, command, 2);
}

static void switch_master(bool on)
{
    set_command(1, on ? MV_PCI_COMMAND_MASTER : 0);
}

static void move_bar(uint64_t gpa)
{
    mv_pci_bus_write(bus, 2, 0x18, (uint32_t)gpa, 4);
    mv_pci_bus_write(bus, 2, 0x1c, (uint32_t)(gpa >> 32), 4);
    set_command(2, MV_PCI_COMMAND_MEMORY);
}

static int setup(void **state)
{
    static const struct mv_pci_ids ids = {.vendor = 0x1234, .device = 0x5678};
    fixture_create();
    ram = mv_block_find(registry, "ram0");
    assert_int_equal(mv_block_create(registry, "", "ram1", MV_MIB, &next, &err), 0);
    assert_int_equal(mv_space_add_ram(space, NEXT, next, 0, MV_MIB, &err), 0);
    assert_int_equal(mv_block_create(registry, "pci/02.0", "bar2", 2 * MV_MIB, &bar, &err), 0);
    function = other = (struct mv_pci_function){0};
    mv_pci_function_init(&function, &device_ops, &ids);
    mv_pci_function_init(&other, &device_ops, &ids);
    mv_pci_bar_mmio(&other, 0, 0x1000, &registers);
    mv_pci_bar_ram(&other, 2, bar);
    assert_int_equal(mv_pci_bus_plug(bus, 1, &function, &err), 0);
    assert_int_equal(mv_pci_bus_plug(bus, 2, &other, &err), 0);
    switch_master(true);
    return 0;
}

static int teardown(void **state)
{
    mv_pci_bus_unplug(&function);
    mv_pci_bus_unplug(&other);
    fixture_destroy();
    return 0;
}

#define assert_refused(call, errnum, part)                                                         \
    do {                                                                                           \
        assert_int_equal(call, -(errnum));                                                         \
        if (strstr(err.text, part) == NULL)                                                        \
            fail_msg("%s", err.text);                                                              \
    } while (0)

static void test_copies(void **state)
{
    uint8_t in[10000], out[sizeof in];
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 7);
    /* Over the border of two banks, at no particular address. */
    assert_int_equal(mv_dma_write(dma, NEXT - 4999, in, sizeof in, &err), 0);
    assert_int_equal(mv_dma_read(dma, NEXT - 4999, out, sizeof out, &err), 0);
    assert_memory_equal(in, out, sizeof in);
    assert_memory_equal(ram->host + MV_MIB - 4999, in, 4999);
    assert_memory_equal(next->host, in + 4999, sizeof in - 4999);
    assert_int_equal(mv_dma_write(dma, HOLE - 1, in, 1, &err), 0);
    assert_int_equal(mv_dma_write(dma, HOLE, in, 0, &err), 0);
    assert_int_equal(dma->misses, 0);
}

/* Nothing of it is done, and the first address that is no memory is told. */
static void test_holes(void **state)
{
    uint64_t value = 42;
    uint8_t in[16], out[16] = {0};
    struct mv_dma_list list;
    memset(in, 0xff, sizeof in);
    assert_refused(mv_dma_write(dma, HOLE - 8, in, 16, &err), EFAULT,
                   "DMA of 16 bytes at 0x601ffff8: 0x60200000 is no memory of the guest's");
    assert_memory_equal(next->host + MV_MIB - 8, out, 8);
    assert_refused(mv_dma_read(dma, HOLE - 8, out, 16, &err), EFAULT, "0x60200000 is no");
    assert_int_equal(out[0], 0);
    assert_refused(mv_dma_load(dma, HOLE, 8, false, &value, &err), EFAULT, "0x60200000 is no");
    assert_refused(mv_dma_store(dma, 0, 1, false, 1, &err), EFAULT, "at 0x0: 0x0 is no");
    assert_int_equal(value, 42);
    assert_refused(mv_dma_write(dma, UINT64_MAX - 7, in, 16, &err), EFAULT,
                   "0xfffffffffffffff8 is no");
    assert_refused(mv_dma_read(dma, RAM, out, UINT64_MAX, &err), EFAULT, "0x60200000 is no");
    /* Another device's registers are no memory. */
    mv_pci_bus_write(bus, 2, 0x10, 0x50000000, 4);
    set_command(2, MV_PCI_COMMAND_MEMORY);
    assert_true(is_at(0x50000000, &registers));
    assert_refused(mv_dma_write(dma, 0x50000000, in, 4, &err), EFAULT, "0x50000000 is no");
    assert_int_equal(dma->misses, 7);
    mv_dma_list_init(&list, dma, true);
    assert_refused(mv_dma_list_add(&list, HOLE - 8, 16, &err), EFAULT, "0x60200000 is no");
    assert_int_equal(list.count, 0);
    assert_int_equal(next->pins, 0);
    assert_int_equal(dma->misses, 8);
    mv_dma_list_clear(&list);
}

static void test_values(void **state)
{
    static const unsigned sizes[] = {1, 2, 4, 8};
    uint64_t value;
    for (size_t i = 0; i < 4; i++) {
        unsigned size = sizes[i];
        uint64_t wanted = UINT64_C(0x8877665544332211) >> (64 - 8 * size);
        assert_int_equal(mv_dma_store(dma, RAM + 64, size, false, UINT64_C(0x8877665544332211) >>
                                      (64 - 8 * size), &err), 0);
        for (unsigned byte = 0; byte < size; byte++)
            assert_int_equal(ram->host[64 + byte], (uint8_t)(wanted >> 8 * byte));
        assert_int_equal(mv_dma_load(dma, RAM + 64, size, false, &value, &err), 0);
        assert_true(value == wanted);
        assert_int_equal(ram->host[64 + size], 0);
        assert_int_equal(mv_dma_store(dma, NEXT - size, size, true, ~wanted, &err), 0);
        assert_int_equal(mv_dma_load(dma, NEXT - size, size, true, &value, &err), 0);
        assert_true(value == (~wanted & UINT64_MAX >> (64 - 8 * size)));
        memset(ram->host + 64, 0, 8);
        if (size > 1)
            assert_refused(mv_dma_load(dma, RAM + size / 2, size, false, &value, &err), EINVAL,
                           "not aligned");
    }
    assert_refused(mv_dma_store(dma, RAM, 3, false, 0, &err), EINVAL, "not aligned");
    assert_refused(mv_dma_load(dma, RAM, 0, true, &value, &err), EINVAL, "not aligned");
    assert_refused(mv_dma_store(dma, RAM + 4, 8, true, 0, &err), EINVAL, "not aligned");
}

static void test_memory_of_another_device(void **state)
{
    uint64_t value;
    move_bar(BAR);
    assert_int_equal(mv_dma_store(dma, BAR + 2 * MV_MIB - 8, 8, false, 0x1234, &err), 0);
    assert_int_equal(bar->host[2 * MV_MIB - 8], 0x34);
    move_bar(BAR + 2 * MV_MIB);
    assert_refused(mv_dma_load(dma, BAR, 8, false, &value, &err), EFAULT, "0x8000000000 is no");
    assert_int_equal(mv_dma_load(dma, BAR + 4 * MV_MIB - 8, 8, false, &value, &err), 0);
    assert_int_equal(value, 0x1234);
    mv_pci_bus_unplug(&other);
    assert_refused(mv_dma_load(dma, BAR + 4 * MV_MIB - 8, 8, false, &value, &err), EFAULT,
                   "is no memory");
}

static void test_no_master(void **state)
{
    uint64_t value;
    uint8_t byte = 1;
    struct mv_dma_list list;
    mv_dma_list_init(&list, dma, true);
    switch_master(false);
    assert_refused(mv_dma_write(dma, RAM, &byte, 1, &err), EACCES,
                   "DMA of 1 byte at 0x60000000: the device is no master of its bus");
    assert_refused(mv_dma_read(dma, RAM, &byte, 1, &err), EACCES, "no master");
    assert_refused(mv_dma_load(dma, RAM, 8, true, &value, &err), EACCES, "no master");
    assert_refused(mv_dma_list_add(&list, RAM, 1, &err), EACCES, "no master");
    assert_int_equal(dma->misses, 0);
    assert_int_equal(ram->host[0], 0);
    /* One that was never plugged has no bus. */
    struct mv_pci_function loose = {0};
    assert_refused(mv_dma_read(&loose.dma, RAM, &byte, 1, &err), EACCES, "no master");
    switch_master(true);
    assert_int_equal(mv_dma_write(dma, RAM, &byte, 1, &err), 0);
    mv_pci_function_reset(&function);
    assert_refused(mv_dma_write(dma, RAM, &byte, 1, &err), EACCES, "no master");
    switch_master(true);
    mv_pci_bus_unplug(&function);
    assert_refused(mv_dma_write(dma, RAM, &byte, 1, &err), EACCES, "no master");
    mv_dma_list_clear(&list);
}

/* --- lists */

static void test_lists(void **state)
{
    struct mv_dma_list list;
    char in[] = "scattered", file[] = "/tmp/memvisor-dma-XXXXXX";
    int fd = mkstemp(file);
    unlink(file);
    mv_dma_list_init(&list, dma, true);
    assert_int_equal(mv_dma_list_add(&list, NEXT - 3, 5, &err), 0);
    assert_int_equal(mv_dma_list_add(&list, RAM + 0x100, 4, &err), 0);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.len, 9);
    assert_ptr_equal(list.iov[0].iov_base, ram->host + MV_MIB - 3);
    assert_ptr_equal(list.iov[1].iov_base, next->host);
    assert_int_equal(list.iov[1].iov_len, 2);
    assert_int_equal(ram->pins, 2);
    assert_int_equal(next->pins, 1);
    /* What fails takes back its own part alone. */
    assert_refused(mv_dma_list_add(&list, NEXT - 1, 2 * MV_MIB, &err), EFAULT, "0x60200000");
    assert_int_equal(list.count, 3);
    assert_int_equal(ram->pins + next->pins, 3);
    assert_int_equal(pwrite(fd, in, 9, 0), 9);
    assert_int_equal(preadv(fd, list.iov, (int)list.count, 0), 9);
    mv_dma_list_end(&list, 9);
    assert_int_equal(ram->pins + next->pins, 0);
    assert_int_equal(list.count + list.len, 0);
    assert_memory_equal(ram->host + MV_MIB - 3, "sca", 3);
    assert_memory_equal(next->host, "tt", 2);
    assert_memory_equal(ram->host + 0x100, "ered", 4);
    /* More than it had room for, and again. */
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(mv_dma_list_add(&list, NEXT - 1, 2, &err), 0);
    assert_int_equal(list.count, 2000);
    assert_int_equal(ram->pins, 1000);
    mv_dma_list_clear(&list);
    assert_int_equal(ram->pins + next->pins, 0);
    close(fd);
}

/* A list goes on where its memory is no more to be seen, and keeps the block. */
static void *end_later(void *opaque)
{
    struct mv_dma_list *list = opaque;
    usleep(50000);
    memset(list->iov[0].iov_base, 0x5a, list->iov[0].iov_len);
    mv_dma_list_end(list, list->len);
    return NULL;
}

static void test_pinned_block_is_destroyed(void **state)
{
    struct mv_dma_list list;
    struct mv_dirty_cursor *cursor;
    pthread_t thread;
    uint64_t pages;
    move_bar(BAR);
    assert_int_equal(mv_dirty_cursor_open(space, bar, &cursor, &err), 0);
    mv_dma_list_init(&list, dma, true);
    assert_int_equal(mv_dma_list_add(&list, BAR, MV_MIB, &err), 0);
    mv_pci_bus_unplug(&other);
    assert_true(is_at(BAR, NULL));
    assert_true(mv_block_registry_is_pinned(registry, "pci/02.0", NULL, NULL));
    assert_false(mv_block_registry_is_pinned(registry, "pci/01.0", NULL, NULL));
    assert_int_equal(pthread_create(&thread, NULL, end_later, &list), 0);
    mv_block_destroy(bar);
    assert_null(mv_block_find(registry, "pci/02.0/bar2"));
    pthread_join(thread, NULL);
    assert_int_equal(list.count, 0);
    assert_int_equal(mv_dirty_cursor_take(cursor, &pages, &err), -ESTALE);
    mv_dirty_cursor_close(cursor);
    mv_dma_list_clear(&list);
}

/* --- the dirty log */

static uint64_t take(struct mv_dirty_cursor *cursor)
{
    uint64_t pages;
    assert_int_equal(mv_dirty_cursor_take(cursor, &pages, &err), 0);
    return pages;
}

static void test_writes_are_logged(void **state)
{
    struct mv_dirty_cursor *cursor, *cursor_bar;
    struct mv_dma_list list;
    uint8_t bytes[0x2000] = {0};
    uint64_t value;
    move_bar(BAR);
    assert_int_equal(mv_dirty_cursor_open(space, ram, &cursor, &err), 0);
    assert_int_equal(mv_dirty_cursor_open(space, bar, &cursor_bar, &err), 0);
    assert_int_equal(mv_dma_write(dma, RAM + 0xfff, bytes, 0x1002, &err), 0);
    assert_int_equal(take(cursor), 3);
    assert_int_equal(mv_dma_store(dma, RAM, 8, false, 0, &err), 0);
    assert_int_equal(mv_dma_store(dma, RAM + 0x5000, 2, true, 0, &err), 0);
    assert_int_equal(take(cursor), 2);
    assert_int_equal(mv_dma_store(dma, BAR + 0x3000, 1, false, 0, &err), 0);
    assert_int_equal(take(cursor_bar), 1);
    /* Neither what is read nor what is refused. */
    assert_int_equal(mv_dma_read(dma, RAM, bytes, sizeof bytes, &err), 0);
    assert_int_equal(mv_dma_load(dma, RAM, 8, true, &value, &err), 0);
    assert_int_equal(mv_dma_write(dma, HOLE - 0x1000, bytes, 0x1001, &err), -EFAULT);
    switch_master(false);
    assert_int_equal(mv_dma_write(dma, RAM, bytes, 1, &err), -EACCES);
    switch_master(true);
    assert_int_equal(take(cursor), 0);
    /* Of a list what was written, when it is over. */
    mv_dma_list_init(&list, dma, true);
    assert_int_equal(mv_dma_list_add(&list, RAM, 0x4000, &err), 0);
    assert_int_equal(mv_dma_list_add(&list, RAM + 0x10000, 0x4000, &err), 0);
    assert_int_equal(take(cursor), 0);
    mv_dma_list_end(&list, 0x5001);
    assert_int_equal(take(cursor), 4 + 2);
    assert_int_equal(mv_dma_list_add(&list, RAM, 0x4000, &err), 0);
    mv_dma_list_end(&list, 0);
    mv_dma_list_clear(&list);
    mv_dma_list_init(&list, dma, false);
    assert_int_equal(mv_dma_list_add(&list, RAM, 0x4000, &err), 0);
    mv_dma_list_end(&list, 0x4000);
    mv_dma_list_clear(&list);
    assert_int_equal(take(cursor), 0);
    mv_dirty_cursor_close(cursor);
    mv_dirty_cursor_close(cursor_bar);
}

/* --- values, looked at from outside after every instruction */

static int step_over(bool is_store, unsigned size)
{
    uint64_t value = 0, ones = UINT64_MAX >> (64 - 8 * size), all = ones / 0xff;
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    if (is_store)
        return mv_dma_store(dma, RAM + 0x100, size, true, ones, &err) < 0;
    return mv_dma_load(dma, RAM + 0x100, size, true, &value, &err) < 0 ||
           value != (value & 0xff) * all;
}

/* What is stored is there at once; what is loaded was there at one moment. */
static void check_steps(bool is_store, unsigned size)
{
    long word = 0, ones = (long)(UINT64_MAX >> (64 - 8 * size));
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(step_over(is_store, size));
    assert_int_equal(waitpid(child, &status, 0), child);
    for (unsigned steps = 0; WIFSTOPPED(status); steps++) {
        if (is_store) {
            word = ptrace(PTRACE_PEEKDATA, child, ram->host + 0x100, NULL);
            assert_true(word == 0 || word == ones);
        } else {
            word = (long)((uint64_t)ones / 0xff * (steps % 256));
            ptrace(PTRACE_POKEDATA, child, ram->host + 0x100, word);
        }
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(!is_store || word == ones);
}

static void test_values_are_never_torn(void **state)
{
    for (unsigned size = 2; size <= sizeof(long); size *= 2) {
        check_steps(true, size);
        check_steps(false, size);
    }
}

/* --- four threads */

#define THREADS 4
static atomic_bool stop;
static atomic_uint progress[THREADS]; /* rounds that each has done */

static void start_threads(pthread_t *threads, void *(*fn)(void *), bool same)
{
    static const unsigned numbers[THREADS] = {0, 1, 2, 3};
    atomic_store(&stop, false);
    for (unsigned i = 0; i < THREADS; i++) {
        atomic_store(&progress[i], 0);
        assert_int_equal(
            pthread_create(&threads[i], NULL, fn, (void *)(uintptr_t)&numbers[same ? 0 : i]), 0);
    }
}

/* Each has done some rounds more. */
static void await_progress(unsigned rounds)
{
    for (unsigned i = 0; i < THREADS; i++) {
        unsigned before = atomic_load(&progress[i]);
        while (atomic_load(&progress[i]) - before < rounds)
            sched_yield();
    }
}

static void join_threads(pthread_t *threads)
{
    atomic_store(&stop, true);
    for (unsigned i = 0; i < THREADS; i++) {
        void *complaint;
        pthread_join(threads[i], &complaint);
        if (complaint != NULL)
            fail_msg("%s", (char *)complaint);
    }
}

/* One writes all bytes of a value at once, the others never see one without the others. */
static const struct {
    uint64_t gpa, all;
    unsigned size;
} values[] = {{RAM + 0x106, 0x101, 2}, {RAM + 0x108, UINT64_C(0x0101010101010101), 8}};

static void *torn_thread(void *opaque)
{
    unsigned number = *(const unsigned *)opaque;
    struct mv_error why;
    for (unsigned i = 0; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
        uint64_t gpa = values[i % 2].gpa, all = values[i % 2].all, value = 0;
        unsigned size = values[i % 2].size;
        if (number == 0 && mv_dma_store(dma, gpa, size, true, i % 256 * all, &why) < 0)
            return "no store";
        if (number != 0 && mv_dma_load(dma, gpa, size, true, &value, &why) < 0)
            return "no load";
        if (value != (value & 0xff) * all)
            return "torn";
        atomic_fetch_add(&progress[number], 1);
    }
    return NULL;
}

static void test_torn_among_threads(void **state)
{
    pthread_t threads[THREADS];
    start_threads(threads, torn_thread, false);
    await_progress(20000);
    join_threads(threads);
}

/* Rings of 64 entries of 64 bytes: 0 and 2 fill one each, 1 and 3 empty it. */
#define ENTRIES 64
#define ENTRY   64
static void *ring_thread(void *opaque)
{
    unsigned number = *(const unsigned *)opaque;
    uint64_t ring = NEXT - 0x800 + number / 2 * 0x10000; /* the first is in two banks */
    uint64_t head = RAM + 0x202 + number / 2 * 0x100, tail = head + 0x40;
    uint64_t entry[ENTRY / 8], seen;
    struct mv_error why;
    for (uint16_t at = 0; !atomic_load_explicit(&stop, memory_order_relaxed);) {
        bool fills = number % 2 == 0;
        if (mv_dma_load(dma, fills ? tail : head, 2, true, &seen, &why) < 0)
            return "no index";
        if ((uint16_t)(fills ? at - seen : seen - at) == (fills ? ENTRIES : 0)) {
            sched_yield();
            continue;
        }
        uint64_t gpa = ring + at % ENTRIES * ENTRY;
        if (fills) {
            for (unsigned i = 0; i < ENTRY / 8; i++)
                entry[i] = at * UINT64_C(0x100010001) + i;
            if (mv_dma_write(dma, gpa, entry, sizeof entry, &why) < 0)
                return "no entry written";
        } else {
            if (mv_dma_read(dma, gpa, entry, sizeof entry, &why) < 0)
                return "no entry read";
            for (unsigned i = 0; i < ENTRY / 8; i++) {
                if (entry[i] != at * UINT64_C(0x100010001) + i)
                    return "the index came before its entry";
            }
        }
        at++;
        if (mv_dma_store(dma, fills ? head : tail, 2, true, at, &why) < 0)
            return "no index stored";
        atomic_fetch_add(&progress[number], 1);
    }
    return NULL;
}

/* Meanwhile a BAR moves about, and a dirty log comes, is taken and goes. */
static void test_rings(void **state)
{
    pthread_t threads[THREADS];
    start_threads(threads, ring_thread, false);
    for (unsigned i = 0; i < 30; i++) {
        struct mv_dirty_cursor *cursor;
        move_bar(BAR + i % 2 * 2 * MV_MIB);
        assert_int_equal(mv_dirty_cursor_open(space, ram, &cursor, &err), 0);
        await_progress(70); /* each goes once around its ring, and so writes its index */
        assert_true(take(cursor) >= 1);
        mv_dirty_cursor_close(cursor);
    }
    join_threads(threads);
}

/* As long as it may. */
#define CHUNK 0x10000
static uint8_t chunks[2][CHUNK];

static void *write_on(void *opaque)
{
    unsigned number = *(const unsigned *)opaque;
    struct mv_error why;
    for (unsigned i = 0; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
        int r = mv_dma_write(dma, NEXT - CHUNK / 2, chunks[i % 2], CHUNK, &why);
        if (r < 0 && r != -EACCES)
            return "refused for another reason";
        if (r == 0)
            atomic_fetch_add(&progress[number], 1);
        else
            usleep(100);
    }
    return NULL;
}

/* Once the guest's write to the command register is over, nothing more comes. */
static void test_switched_off_in_the_middle(void **state)
{
    pthread_t threads[THREADS];
    uint8_t *before = malloc(CHUNK), *after = malloc(CHUNK);
    memset(chunks[1], 0xff, CHUNK);
    start_threads(threads, write_on, true);
    for (unsigned i = 0; i < 40; i++) {
        unsigned done = atomic_load(&progress[0]);
        while (atomic_load(&progress[0]) - done < 4)
            sched_yield();
        switch_master(false);
        assert_int_equal(mv_space_read(space, NEXT - CHUNK / 2, before, CHUNK), 0);
        for (unsigned again = 0; again < 5; again++) {
            sched_yield();
            assert_int_equal(mv_space_read(space, NEXT - CHUNK / 2, after, CHUNK), 0);
            assert_memory_equal(before, after, CHUNK);
        }
        switch_master(true);
    }
    join_threads(threads);
    free(before);
    free(after);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_copies),
        TEST(test_holes),
        TEST(test_values),
        TEST(test_memory_of_another_device),
        TEST(test_no_master),
        TEST(test_lists),
        TEST(test_pinned_block_is_destroyed),
        TEST(test_writes_are_logged),
        TEST(test_values_are_never_torn),
        TEST(test_torn_among_threads),
        TEST(test_rings),
        TEST(test_switched_off_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
