/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ivshmem-link.c with threads that ring without a pause, as a hostile guest's
 * vCPUs do, while the server tells of peers that come and go.
 */
#include "fake-ivshmem-server.h"

#include "ivshmem-link.h"
#include "loop.h"

#include <stdatomic.h>
#include <stdlib.h>

#define RINGERS 8
#define PEERS   200
#define OWN_ID  7

static struct mv_loop *loop;
static struct mv_ivshmem_link *link_under_test;
static unsigned gone; /* peers that the link has told of */
static atomic_bool over;
static int listener;

/* The client's copy is its own. */
static void tell_and_close(int client, uint16_t id)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    fake_server_tell(client, MV_IVSHMEM_CONNECT, id, fd);
    close(fd);
}

static void *serve(void *opaque)
{
    int client = accept(listener, NULL, NULL);
    fake_server_greet(client, OWN_ID);
    tell_and_close(client, OWN_ID);
    for (uint16_t id = 10; id < 10 + PEERS; id++) {
        tell_and_close(client, id);
        fake_server_tell(client, MV_IVSHMEM_DISCONNECT, id, -1);
    }
    while (!atomic_load(&over))
        usleep(1000);
    close(client);
    return NULL;
}

static void *ring(void *opaque)
{
    while (!atomic_load(&over))
        (void)mv_ivshmem_link_ring(link_under_test, OWN_ID, 0, 1);
    return NULL;
}

static int take_memory(void *opaque, int fd, uint64_t size, struct mv_error *err)
{
    return 0;
}

static void take_ring(void *opaque, unsigned vector, uint64_t count)
{
}

static void take_peer(void *opaque, unsigned id, unsigned vectors)
{
    gone += vectors == 0;
    if (gone == PEERS)
        mv_loop_stop(loop);
}

static void test_peers_come_and_go_in_a_storm(void **state)
{
    static const struct mv_ivshmem_link_ops ops = {
        .memory = take_memory, .rung = take_ring, .peer = take_peer};
    struct mv_error err;
    pthread_t server, ringers[RINGERS];
    char path[64];
    snprintf(path, sizeof path, "/tmp/test-ivshmem-link-%d.sock", (int)getpid());
    struct mv_ivshmem_link_config config = {
        .path = path, .name = "pci/03.0", .vectors = 1, .ops = &ops};
    assert_int_equal(mv_unix_listen("socket", path, &listener, &err), 0);
    assert_int_equal(fcntl(listener, F_SETFL, 0), 0);
    assert_int_equal(mv_loop_create(&loop, &err), 0);
    pthread_create(&server, NULL, serve, NULL);
    config.loop = loop;
    if (mv_ivshmem_link_open(&config, &link_under_test, &err) < 0)
        fail_msg("%s", err.text);
    for (unsigned i = 0; i < RINGERS; i++)
        pthread_create(&ringers[i], NULL, ring, NULL);
    mv_loop_run(loop); /* for ever where the loop does not get its turn */
    atomic_store(&over, true);
    for (unsigned i = 0; i < RINGERS; i++)
        pthread_join(ringers[i], NULL);
    pthread_join(server, NULL);
    assert_int_equal(gone, PEERS);
    mv_ivshmem_link_close(link_under_test);
    mv_loop_destroy(loop);
    close(listener);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_peers_come_and_go_in_a_storm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
