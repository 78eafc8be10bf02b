/* SPDX-License-Identifier: Apache-2.0 */
/* base/loop.c: sources, removal inside callbacks, calls from other threads. */
#include "loop.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

struct pipe_source {
    struct mv_loop *loop;
    struct mv_loop_source *source;
    struct pipe_source *victim; /* removed by the callback, may be itself */
    int fds[2];
    int calls;
    uint32_t events;
};

static struct mv_loop *make_loop(void)
{
    struct mv_error err;
    struct mv_loop *loop = NULL;
    assert_int_equal(mv_loop_create(&loop, &err), 0);
    return loop;
}

static void stop_loop(void *opaque)
{
    mv_loop_stop(opaque);
}

static void on_pipe(void *opaque, uint32_t events)
{
    struct pipe_source *p = opaque;
    char c;
    p->calls++;
    p->events = events;
    if ((events & EPOLLIN) != 0)
        assert_int_equal(read(p->fds[0], &c, 1), 1);
    if (p->victim != NULL && p->victim->source != NULL) {
        mv_loop_remove(p->victim->source);
        p->victim->source = NULL;
    }
    mv_loop_defer(p->loop, stop_loop, p->loop);
}

static void pipe_source_open(struct pipe_source *p, struct mv_loop *loop)
{
    struct mv_error err;
    memset(p, 0, sizeof *p);
    p->loop = loop;
    assert_return_code(pipe2(p->fds, O_CLOEXEC | O_NONBLOCK), errno);
    assert_int_equal(mv_loop_add(loop, p->fds[0], EPOLLIN, on_pipe, p, &p->source, &err), 0);
}

static void pipe_source_close(struct pipe_source *p)
{
    if (p->source != NULL)
        mv_loop_remove(p->source);
    close(p->fds[0]);
    if (p->fds[1] >= 0)
        close(p->fds[1]);
}

static void test_source(void **state)
{
    struct mv_loop *loop = make_loop();
    struct pipe_source p;
    pipe_source_open(&p, loop);
    assert_int_equal(write(p.fds[1], "ab", 2), 2);
    mv_loop_run(loop);
    assert_true(p.calls >= 1);
    assert_true((p.events & EPOLLIN) != 0);

    /* With no events asked for, only the end of the pipe is reported. */
    while (read(p.fds[0], &(char){0}, 1) == 1)
        ;
    int calls = p.calls;
    mv_loop_modify(p.source, 0);
    assert_int_equal(write(p.fds[1], "c", 1), 1);
    mv_loop_defer(loop, stop_loop, loop);
    mv_loop_run(loop);
    assert_int_equal(p.calls, calls);
    mv_loop_modify(p.source, EPOLLIN);
    mv_loop_run(loop);
    assert_int_equal(p.calls, calls + 1);
    close(p.fds[1]);
    p.fds[1] = -1;
    mv_loop_run(loop);
    assert_true((p.events & EPOLLHUP) != 0);

    pipe_source_close(&p);
    mv_loop_destroy(loop);
}

static void test_remove_inside_callbacks(void **state)
{
    struct mv_loop *loop = make_loop();
    struct pipe_source a, b;
    pipe_source_open(&a, loop);
    pipe_source_open(&b, loop);
    /* Both are ready at once; whichever is served first removes the other. */
    a.victim = &b;
    b.victim = &a;
    assert_int_equal(write(a.fds[1], "x", 1), 1);
    assert_int_equal(write(b.fds[1], "x", 1), 1);
    mv_loop_run(loop);
    assert_int_equal(a.calls + b.calls, 1);
    pipe_source_close(&a);
    pipe_source_close(&b);

    /* A source that removes itself, though more is to be read. */
    pipe_source_open(&a, loop);
    a.victim = &a;
    assert_int_equal(write(a.fds[1], "xyz", 3), 3);
    mv_loop_run(loop);
    assert_int_equal(a.calls, 1);
    pipe_source_close(&a);
    mv_loop_destroy(loop);
}

static void test_regular_file_is_refused(void **state)
{
    struct mv_loop *loop = make_loop();
    struct mv_error err = {""};
    struct mv_loop_source *source = NULL;
    char path[] = "/tmp/mv-test-loop-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(mv_loop_add(loop, fd, EPOLLIN, on_pipe, NULL, &source, &err), -EPERM);
    assert_null(source);
    assert_true(strlen(err.text) > 0);
    close(fd);
    mv_loop_destroy(loop);
}

static void count_call(void *opaque)
{
    ++*(int *)opaque;
}

struct chain {
    struct mv_loop *loop;
    int left;
};

static void chain_next(void *opaque)
{
    struct chain *chain = opaque;
    if (--chain->left == 0)
        mv_loop_stop(chain->loop);
    else
        mv_loop_defer(chain->loop, chain_next, chain);
}

static void test_deferred(void **state)
{
    struct mv_loop *loop = make_loop();
    int calls = 0;
    mv_loop_defer(loop, count_call, &calls);
    mv_loop_defer(loop, count_call, &calls);
    mv_loop_defer(loop, stop_loop, loop);
    mv_loop_run(loop);
    assert_int_equal(calls, 2);

    struct chain chain = {loop, 100};
    mv_loop_defer(loop, chain_next, &chain);
    mv_loop_run(loop);
    assert_int_equal(chain.left, 0);

    /* What nobody ran is freed with the loop. */
    mv_loop_defer(loop, count_call, &calls);
    mv_loop_destroy(loop);
    assert_int_equal(calls, 2);
}

struct forgetter {
    struct mv_loop *loop;
    int *victim;
};

static void forget_victim(void *opaque)
{
    struct forgetter *f = opaque;
    mv_loop_forget(f->loop, f->victim);
}

/* Calls for an object that has gone: those that wait, and those of the batch being made. */
static void test_forget(void **state)
{
    struct mv_loop *loop = make_loop();
    int gone = 0, stays = 0;
    struct forgetter f = {loop, &gone};
    mv_loop_forget(loop, &gone);
    mv_loop_defer(loop, count_call, &gone);
    mv_loop_defer(loop, count_call, &stays);
    mv_loop_defer(loop, count_call, &gone);
    mv_loop_forget(loop, &gone);
    mv_loop_defer(loop, count_call, &stays);
    mv_loop_defer(loop, forget_victim, &f);
    mv_loop_defer(loop, count_call, &gone);
    mv_loop_defer(loop, count_call, &stays);
    mv_loop_defer(loop, stop_loop, loop);
    mv_loop_run(loop);
    assert_int_equal(gone, 0);
    assert_int_equal(stays, 3);

    /* Only those: a call that comes later is made. */
    mv_loop_defer(loop, count_call, &gone);
    mv_loop_defer(loop, stop_loop, loop);
    mv_loop_run(loop);
    assert_int_equal(gone, 1);
    mv_loop_destroy(loop);
}

static void test_stop_before_run(void **state)
{
    struct mv_loop *loop = make_loop();
    mv_loop_stop(loop);
    mv_loop_run(loop);
    /* The stop was used up: the next run serves events again. */
    int calls = 0;
    mv_loop_defer(loop, count_call, &calls);
    mv_loop_defer(loop, stop_loop, loop);
    mv_loop_run(loop);
    assert_int_equal(calls, 1);
    mv_loop_destroy(loop);
}

enum { THREADS = 4, CALLS_EACH = 5000 };

struct thread_count {
    struct mv_loop *loop;
    int calls;
};

static void count_until_all(void *opaque)
{
    struct thread_count *t = opaque;
    if (++t->calls == THREADS * CALLS_EACH)
        mv_loop_stop(t->loop);
}

static void *defer_many(void *opaque)
{
    struct thread_count *t = opaque;
    for (int i = 0; i < CALLS_EACH; i++)
        mv_loop_defer(t->loop, count_until_all, t);
    return NULL;
}

static void test_defer_from_threads(void **state)
{
    struct mv_loop *loop = make_loop();
    struct thread_count t = {loop, 0};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, defer_many, &t), 0);
    mv_loop_run(loop);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(t.calls, THREADS * CALLS_EACH);
    mv_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_remove_inside_callbacks),
        cmocka_unit_test(test_regular_file_is_refused),
        cmocka_unit_test(test_deferred),
        cmocka_unit_test(test_forget),
        cmocka_unit_test(test_stop_before_run),
        cmocka_unit_test(test_defer_from_threads),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
