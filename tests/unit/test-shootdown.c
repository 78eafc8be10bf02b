/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/emulator/softmmu/shootdown.c: mail between vCPUs that are no more than a
 * TLB, a code cache and a mailbox each.
 */
#include "shootdown.h"

#include "code-cache.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VCPUS 3
#define BIT 4u
#define VA UINT64_C(0x7f0012345000)
#define PA UINT64_C(0x40001000)

static struct mv_error err;
static struct mv_mailboxes boxes;
static struct vcpu {
    struct mv_mailbox box;
    atomic_uint attention;
    struct mv_tlb tlb;
} *vcpu;
static uint8_t page[4096];

static struct mv_dtlb_entry *entry_of(struct vcpu *v, uint64_t va)
{
    return &v->tlb.low[0][1].d[mv_dtlb_index(va)];
}

/* As a look-up leaves it. */
static void fill(struct vcpu *v, uint64_t va)
{
    mv_tlb_see(&v->tlb, va, 12);
    *entry_of(v, va) = (struct mv_dtlb_entry){.read_tag = va, .write_tag = va};
    v->tlb.low[0][1].used = true;
}

static bool holds(struct vcpu *v, uint64_t va)
{
    return entry_of(v, va)->read_tag == va;
}

static const struct mv_op *decode(struct vcpu *v)
{
    bool dropped;
    const struct mv_op *ops = mv_code_cache_page(v->box.code, PA, page, &dropped);
    mv_code_cache_decode(v->box.code, ops, &ops[16]);
    return &ops[16];
}

static bool has_mail(struct vcpu *v)
{
    return atomic_load(&v->attention) & BIT;
}

static const struct mv_shootdown by_va = {.kind = MV_SHOOTDOWN_TLB_VA, .address = VA};

/* Here at once, there once the mail is served. */
static void test_broadcast(void **state)
{
    for (unsigned i = 0; i < VCPUS; i++)
        fill(&vcpu[i], VA);
    mv_shootdown_broadcast(&vcpu[0].box, &(struct mv_shootdown){.kind = MV_SHOOTDOWN_TLB_ALL});
    assert_false(holds(&vcpu[0], VA) || has_mail(&vcpu[0]));
    for (unsigned i = 1; i < VCPUS; i++) {
        assert_true(holds(&vcpu[i], VA) && has_mail(&vcpu[i]));
        mv_shootdown_serve(&vcpu[i].box);
        assert_false(holds(&vcpu[i], VA) || has_mail(&vcpu[i]));
    }
}

/* By address, only to whoever may have looked there. */
static void test_by_address(void **state)
{
    fill(&vcpu[1], VA);
    fill(&vcpu[2], VA + 0x100000);
    mv_shootdown_broadcast(&vcpu[0].box, &by_va);
    assert_true(has_mail(&vcpu[1]));
    assert_false(has_mail(&vcpu[2]));
    mv_shootdown_serve(&vcpu[1].box);
    assert_false(holds(&vcpu[1], VA));
    assert_true(holds(&vcpu[2], VA + 0x100000));
}

/* Code is decoded anew by whoever had decoded it, and no DSB waits for that. */
static void test_code_line(void **state)
{
    const struct mv_op *own = decode(&vcpu[0]), *other = decode(&vcpu[1]);
    assert_int_not_equal(own->code, MV_OPCODE_decode);
    atomic_store(&vcpu[1].box.running, true);
    mv_shootdown_code_line(&vcpu[0].box, PA + 64);
    assert_int_equal(own->code, MV_OPCODE_decode);
    assert_int_not_equal(other->code, MV_OPCODE_decode);
    assert_true(has_mail(&vcpu[1]));
    assert_false(has_mail(&vcpu[2]));
    assert_false(mv_shootdown_wait(&vcpu[0].box));
    mv_shootdown_serve(&vcpu[1].box);
    assert_int_equal(other->code, MV_OPCODE_decode);
}

/* More mail than the box has room for: all goes, none is lost. */
static void test_overflow(void **state)
{
    fill(&vcpu[1], VA);
    fill(&vcpu[1], VA + 0x1000);
    const struct mv_op *op = decode(&vcpu[1]);
    for (unsigned i = 0; i < 2 * MV_MAILBOX_SIZE; i++)
        mv_shootdown_broadcast(&vcpu[0].box, &by_va);
    mv_shootdown_broadcast(&vcpu[0].box, &(struct mv_shootdown){.kind = MV_SHOOTDOWN_CODE_ALL});
    mv_shootdown_serve(&vcpu[1].box);
    assert_false(holds(&vcpu[1], VA) || holds(&vcpu[1], VA + 0x1000));
    assert_int_equal(op->code, MV_OPCODE_decode);
    assert_int_equal(atomic_load(&vcpu[1].box.done), atomic_load(&vcpu[1].box.posted));
    /* And it has room again. */
    fill(&vcpu[1], VA);
    mv_shootdown_broadcast(&vcpu[0].box, &by_va);
    mv_shootdown_serve(&vcpu[1].box);
    assert_false(holds(&vcpu[1], VA));
}

static void test_post_all(void **state)
{
    const struct mv_op *ops[VCPUS];
    for (unsigned i = 0; i < VCPUS; i++) {
        fill(&vcpu[i], VA);
        ops[i] = decode(&vcpu[i]);
    }
    mv_shootdown_post_all(&boxes);
    for (unsigned i = 0; i < VCPUS; i++) {
        assert_true(holds(&vcpu[i], VA));
        mv_shootdown_serve(&vcpu[i].box);
        assert_false(holds(&vcpu[i], VA));
        assert_int_equal(ops[i]->code, MV_OPCODE_decode);
    }
}

/* Nobody waits for a vCPU that does not run: it serves before it does. */
static void test_no_wait(void **state)
{
    fill(&vcpu[1], VA);
    mv_shootdown_broadcast(&vcpu[0].box, &by_va);
    assert_false(mv_shootdown_wait(&vcpu[0].box));
    assert_true(holds(&vcpu[1], VA));
}

/* --- with threads */

static atomic_bool stop;

/* A vCPU that runs: looks pages up, and serves its mail. */
static void *run(void *opaque)
{
    struct vcpu *v = opaque;
    while (!atomic_load(&stop)) {
        if (has_mail(v))
            mv_shootdown_serve(&v->box);
        sched_yield();
    }
    atomic_store(&v->box.running, false);
    return NULL;
}

static void start(pthread_t *thread, struct vcpu *v, void *(*fn)(void *opaque))
{
    atomic_store(&v->box.running, true);
    assert_int_equal(pthread_create(thread, NULL, fn, v), 0);
}

/* A DSB comes back once whoever runs has done what was posted before it. */
static void test_wait(void **state)
{
    pthread_t thread;
    atomic_store(&stop, false);
    fill(&vcpu[2], VA);
    start(&thread, &vcpu[1], run);
    for (unsigned i = 0; i < 200; i++) {
        mv_shootdown_broadcast(&vcpu[0].box, &(struct mv_shootdown){.kind = MV_SHOOTDOWN_TLB_ALL});
        mv_shootdown_wait(&vcpu[0].box);
        assert_int_equal(atomic_load(&vcpu[1].box.done), atomic_load(&vcpu[1].box.posted));
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    assert_true(holds(&vcpu[2], VA));
}

/* Writers have to ask again once it has come back. */
static void test_finish_writes(void **state)
{
    pthread_t thread;
    atomic_store(&stop, false);
    fill(&vcpu[1], VA);
    start(&thread, &vcpu[1], run);
    mv_shootdown_finish_writes(&boxes);
    assert_int_equal(entry_of(&vcpu[1], VA)->write_tag, MV_TLB_NONE);
    assert_true(holds(&vcpu[1], VA));
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}

static atomic_uint served;

/* TLBI; DSB, again and again, with nothing else that would serve its mail. */
static void *shoot(void *opaque)
{
    struct vcpu *v = opaque;
    for (unsigned i = 0; i < 300; i++) {
        mv_shootdown_broadcast(&v->box, &(struct mv_shootdown){.kind = MV_SHOOTDOWN_TLB_ALL});
        atomic_fetch_add(&served, mv_shootdown_wait(&v->box));
    }
    atomic_store(&v->box.running, false);
    return NULL;
}

/* Those that wait for each other serve each other. */
static void test_mutual(void **state)
{
    pthread_t threads[VCPUS];
    for (unsigned i = 0; i < VCPUS; i++)
        atomic_store(&vcpu[i].box.running, true);
    for (unsigned i = 0; i < VCPUS; i++)
        start(&threads[i], &vcpu[i], shoot);
    for (unsigned i = 0; i < VCPUS; i++)
        pthread_join(threads[i], NULL);
    assert_true(atomic_load(&served) > 0);
}

static int setup(void **state)
{
    vcpu = calloc(VCPUS, sizeof *vcpu);
    if (vcpu == NULL)
        return -1;
    boxes.count = VCPUS;
    for (unsigned i = 0; i < VCPUS; i++) {
        struct mv_mailbox *box = &vcpu[i].box;
        pthread_mutex_init(&box->lock, NULL);
        mv_tlb_init(&vcpu[i].tlb, false);
        box->all = &boxes;
        box->attention = &vcpu[i].attention;
        box->attention_bit = BIT;
        box->tlb = &vcpu[i].tlb;
        boxes.box[i] = box;
        if (mv_code_cache_create(4, NULL, &box->code, &err) != 0)
            return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    for (unsigned i = 0; i < VCPUS; i++) {
        pthread_mutex_destroy(&vcpu[i].box.lock);
        mv_code_cache_destroy(vcpu[i].box.code);
    }
    free(vcpu);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_broadcast), TEST(test_by_address), TEST(test_code_line),
        TEST(test_overflow),  TEST(test_post_all),   TEST(test_no_wait),
        TEST(test_wait),      TEST(test_finish_writes), TEST(test_mutual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
