/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control/: clients on real sockets, a machine on the fake engine, and the loop
 * in a thread of its own, as it is in memvisor.
 */
#include "fake-machine.h"

#include "control.h"
#include "qmp-command.h"
#include "space.h"
#include "unix-socket.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define CLIENTS_MAX 64

static struct mv_control *control;
static char path[64];
static pthread_t loop_thread;

static void *serve(void *opaque)
{
    mv_machine_wait(machine);
    mv_control_destroy(control);
    control = NULL;
    return NULL;
}

static int setup(void **state)
{
    if (fake_machine_setup(state) != 0)
        return -1;
    snprintf(path, sizeof path, "/tmp/test-control-%d.sock", (int)getpid());
    MAKE("-m", "16M", "-c", "2");
    assert_int_equal(mv_machine_start(machine, true, &err), 0);
    assert_int_equal(mv_control_create(loop, machine, &control, &err), 0);
    if (mv_control_listen(control, path, &err) != 0)
        fail_msg("%s", err.text);
    pthread_create(&loop_thread, NULL, serve, NULL);
    return 0;
}

static int teardown(void **state)
{
    mv_machine_request_quit(machine, MV_CAUSE_HOST_SIGNAL);
    pthread_join(loop_thread, NULL);
    assert_int_equal(access(path, F_OK), -1);
    return fake_machine_teardown(state);
}

/* --- a client */

struct client {
    int fd;
    char buf[256 * 1024];
    size_t used;
};

static void put(struct client *c, const char *text, size_t len)
{
    assert_int_equal(send(c->fd, text, len, MSG_NOSIGNAL), len);
}

static void say(struct client *c, const char *text)
{
    put(c, text, strlen(text));
}

/* The next line, parsed; NULL at the end of the connection. */
static json_t *next(struct client *c)
{
    char *end;
    while ((end = memmem(c->buf, c->used, "\r\n", 2)) == NULL) {
        struct pollfd p = {c->fd, POLLIN, 0};
        assert_true(c->used < sizeof c->buf);
        if (poll(&p, 1, FAKE_WAIT_S * 1000) != 1)
            fail_msg("no answer came; so far: %.*s", (int)c->used, c->buf);
        ssize_t n = read(c->fd, c->buf + c->used, sizeof c->buf - c->used);
        if (n <= 0)
            return NULL;
        c->used += (size_t)n;
    }
    json_error_t why;
    json_t *line = json_loadb(c->buf, (size_t)(end - c->buf), JSON_REJECT_DUPLICATES, &why);
    if (line == NULL)
        fail_msg("%s: %.*s", why.text, (int)(end - c->buf), c->buf);
    c->used -= (size_t)(end + 2 - c->buf);
    memmove(c->buf, end + 2, c->used);
    return line;
}

/* The next line is this JSON; of an error the description is not compared. */
static void expect(struct client *c, const char *text)
{
    json_t *line = next(c), *wanted = json_loads(text, 0, NULL);
    assert_non_null(line);
    assert_non_null(wanted);
    json_object_del(json_object_get(line, "error"), "desc");
    json_object_del(line, "timestamp");
    if (!json_equal(line, wanted))
        fail_msg("got %s, not %s", json_dumps(line, 0), text);
    json_decref(line);
    json_decref(wanted);
}

static void expect_end(struct client *c)
{
    json_t *line = next(c);
    if (line != NULL)
        fail_msg("got %s, not the end", json_dumps(line, 0));
}

static struct client *dial(void)
{
    struct client *c = calloc(1, sizeof *c);
    if (mv_unix_connect_within("test", path, -1, &c->fd, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(fcntl(c->fd, F_SETFL, 0), 0); /* blocking */
    return c;
}

static void hang_up(struct client *c)
{
    close(c->fd);
    free(c);
}

#define EMPTY   "{\"return\":{}}"
#define GENERIC "{\"error\":{\"class\":\"GenericError\"}}"
#define UNKNOWN "{\"error\":{\"class\":\"CommandNotFound\"}}"
#define HELLO   "{\"execute\":\"qmp_capabilities\"}"

static struct client *greet(void)
{
    struct client *c = dial();
    json_decref(next(c));
    say(c, HELLO);
    expect(c, EMPTY);
    return c;
}

/* --- the protocol */

static void test_greeting(void **state)
{
    struct client *c = dial();
    expect(c, "{\"QMP\":{\"version\":{\"qemu\":{\"major\":7,\"minor\":2,\"micro\":0},"
              "\"package\":\"memvisor " MV_VERSION "\"},\"capabilities\":[]}}");
    say(c, "{\"execute\":\"query-status\"}{\"execute\":\"stop\",\"id\":1}");
    expect(c, UNKNOWN);
    expect(c, "{\"error\":{\"class\":\"CommandNotFound\"},\"id\":1}");
    say(c, "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}");
    expect(c, GENERIC);
    say(c, "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[]},\"id\":[]}");
    expect(c, "{\"return\":{},\"id\":[]}");
    say(c, HELLO);
    expect(c, UNKNOWN);
    hang_up(c);
}

static void test_malformed(void **state)
{
    static const struct {
        const char *text, *answer;
    } cases[] = {
        {"[]", GENERIC},
        {"\"x\"", GENERIC},
        {"{}", GENERIC},
        {"{\"execute\":1}", GENERIC},
        {"{\"execute\":\"stop\",\"arguments\":[]}", GENERIC},
        {"{\"execute\":\"stop\",\"arguments\":{\"x\":1}}", GENERIC},
        {"{\"execute\":\"stop\",\"other\":1,\"id\":3}",
         "{\"error\":{\"class\":\"GenericError\"},\"id\":3}"},
        {"{\"exec-oob\":\"stop\"}", GENERIC},
        {"{\"execute\":\"nothing\"}", UNKNOWN},
        {"{\"execute\":\"\\u0000\"}", GENERIC},
        {"{\"execute\":\"stop\",\"execute\":\"stop\"}", GENERIC},
        {"{\"execute\":\"\xc3\x28\"}", GENERIC},
        {"{\"execute\":\"\xc3\xa4\"}", UNKNOWN},
        {"{\"execute\" \"stop\"}", GENERIC},
        {"{\"execute\":\"cont\",}", GENERIC},
    };
    struct client *c = greet();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        say(c, cases[i].text);
        expect(c, cases[i].answer);
    }
    say(c, "{'execute':'query-status'}");
    expect(c, "{\"return\":{\"running\":false,\"singlestep\":false,\"status\":\"prelaunch\"}}");
    hang_up(c);
}

static void test_ids_in_order(void **state)
{
    char text[64], answer[64];
    struct client *c = greet();
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "{\"execute\":\"stop\",\"id\":{\"n\":%d}}", i);
        say(c, text);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(answer, sizeof answer, "{\"return\":{},\"id\":{\"n\":%d}}", i);
        expect(c, answer);
    }
    hang_up(c);
}

static void still_serves(void)
{
    struct client *c = greet();
    say(c, "{\"execute\":\"query-status\"}");
    json_t *line = next(c);
    assert_non_null(json_object_get(line, "return"));
    json_decref(line);
    hang_up(c);
}

/* --- what the commands do */

static void test_run_states(void **state)
{
    struct client *c = greet(), *other = greet();
    say(c, "{\"execute\":\"stop\"}{\"execute\":\"cont\"}");
    expect(c, EMPTY);
    expect(c, "{\"event\":\"RESUME\"}");
    expect(c, EMPTY);
    expect(other, "{\"event\":\"RESUME\"}");
    fake_await_idle(0);
    say(c, "{\"execute\":\"query-status\"}{\"execute\":\"cont\"}{\"execute\":\"stop\"}");
    expect(c, "{\"return\":{\"running\":true,\"singlestep\":false,\"status\":\"running\"}}");
    expect(c, EMPTY);
    expect(c, "{\"event\":\"STOP\"}");
    expect(c, EMPTY);
    assert_false(fake_inside(0));
    expect(other, "{\"event\":\"STOP\"}");
    say(other, "{\"execute\":\"query-status\"}");
    expect(other, "{\"return\":{\"running\":false,\"singlestep\":false,\"status\":\"paused\"}}");

    say(c, "{\"execute\":\"system_powerdown\"}{\"execute\":\"system_reset\"}"
           "{\"execute\":\"query-status\"}");
    expect(c, "{\"event\":\"POWERDOWN\"}");
    expect(c, EMPTY);
    expect(c, "{\"event\":\"RESET\",\"data\":{\"guest\":false,"
              "\"reason\":\"host-qmp-system-reset\"}}");
    expect(c, EMPTY);
    expect(c, "{\"return\":{\"running\":false,\"singlestep\":false,\"status\":\"paused\"}}");
    hang_up(c);
    hang_up(other);
}

static void test_quit(void **state)
{
    struct client *c = greet(), *silent = dial();
    json_decref(next(silent));
    say(c, "{\"execute\":\"quit\",\"id\":\"last\"}");
    expect(c, "{\"return\":{},\"id\":\"last\"}");
    expect(c, "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":false,\"reason\":\"host-qmp-quit\"}}");
    expect_end(c);
    /* Who has not negotiated hears of nothing. */
    expect_end(silent);
    assert_int_equal(mv_machine_wait(machine), MV_MACHINE_QUIT);
    assert_int_equal(mv_machine_end_cause(machine), MV_CAUSE_HOST_QMP);
    hang_up(c);
    hang_up(silent);
}

static void test_guest_ends(void **state)
{
    struct client *c = greet();
    fake_queue(0, 0x84000009, 0, 0, 0); /* SYSTEM_RESET */
    fake_queue(0, 0x84000008, 0, 0, 0); /* SYSTEM_OFF */
    say(c, "{\"execute\":\"cont\"}");
    expect(c, "{\"event\":\"RESUME\"}");
    expect(c, EMPTY);
    expect(c, "{\"event\":\"RESET\",\"data\":{\"guest\":true,\"reason\":\"guest-reset\"}}");
    expect(c, "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":true,\"reason\":\"guest-shutdown\"}}");
    expect_end(c);
    hang_up(c);
}

static void test_cpus(void **state)
{
    struct client *c = greet();
    say(c, "{\"execute\":\"query-cpus-fast\"}");
    json_t *line = next(c), *cpu;
    size_t i;
    json_t *cpus = json_object_get(line, "return");
    assert_int_equal(json_array_size(cpus), 2);
    json_array_foreach (cpus, i, cpu) {
        char task[64];
        snprintf(task, sizeof task, "/proc/self/task/%d",
                 (int)json_integer_value(json_object_get(cpu, "thread-id")));
        assert_int_equal(access(task, F_OK), 0);
        assert_int_equal(json_integer_value(json_object_get(cpu, "cpu-index")), i);
    }
    json_decref(line);
    hang_up(c);
}

/* --- memory */

static void test_memory_queries(void **state)
{
    struct client *c = greet();
    say(c, "{\"execute\":\"query-memory-size-summary\"}{\"execute\":\"query-memory-devices\"}");
    expect(c, "{\"return\":{\"base-memory\":16777216,\"plugged-memory\":0}}");
    expect(c, "{\"return\":[]}");
    say(c, "{\"execute\":\"x-query-space\"}");
    json_t *line = next(c), *entry;
    size_t i;
    json_int_t end = 0;
    bool ram = false, uart = false, ecam = false;
    json_array_foreach (json_object_get(line, "return"), i, entry) {
        const char *kind = json_string_value(json_object_get(entry, "kind"));
        const char *name = json_string_value(json_object_get(entry, "name"));
        json_int_t gpa = json_integer_value(json_object_get(entry, "gpa"));
        json_int_t size = json_integer_value(json_object_get(entry, "size"));
        if (strcmp(kind, "reserved") != 0) {
            assert_true(gpa >= end);
            end = gpa + size;
        }
        ram |= strcmp(kind, "ram") == 0 && strcmp(name, "ram0") == 0 && gpa == 0x80000000 &&
               size == 16 << 20;
        uart |= strcmp(kind, "mmio") == 0 && gpa == 0x1000000;
        ecam |= strcmp(kind, "reserved") == 0 && gpa == 0x40000000 && size == 256 << 20;
    }
    assert_true(ram && uart && ecam);
    json_decref(line);
    hang_up(c);
}

static void save_memory(struct client *c, uint64_t gpa, uint64_t size, const char *file)
{
    char text[512];
    snprintf(text, sizeof text,
             "{\"execute\":\"pmemsave\",\"arguments\":{\"val\":%llu,\"size\":%llu,"
             "\"filename\":\"%s\"}}",
             (unsigned long long)gpa, (unsigned long long)size, file);
    say(c, text);
}

static void test_pmemsave(void **state)
{
    static uint8_t bytes[3 << 20], saved[sizeof bytes + 1];
    struct client *c = greet();
    char file[64];
    fake_file(file, "old", 3);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 8));
    assert_int_equal(mv_space_write(fake.params.space, 0x80400001, bytes, sizeof bytes), 0);
    save_memory(c, 0x80400001, sizeof bytes, file);
    /* What comes behind it is answered behind it. */
    say(c, "{\"execute\":\"stop\",\"id\":2}");
    expect(c, EMPTY);
    expect(c, "{\"return\":{},\"id\":2}");
    FILE *f = fopen(file, "r");
    assert_int_equal(fread(saved, 1, sizeof saved, f), sizeof bytes);
    fclose(f);
    assert_memory_equal(saved, bytes, sizeof bytes);
    unlink(file);

    save_memory(c, 0x80400001, 0, file);
    expect(c, GENERIC);
    save_memory(c, 0x1000, 16, file);
    expect(c, GENERIC);
    save_memory(c, 0x80000000, (16 << 20) + 1, file);
    expect(c, GENERIC);
    save_memory(c, 0x80000000, INT64_MAX, file);
    expect(c, GENERIC);
    save_memory(c, 0x80000000, 16, "/nonexistent/x");
    expect(c, GENERIC);
    save_memory(c, 0x80000000, 1 << 20, "/dev/full");
    expect(c, GENERIC);
    /* Refused before the file was touched. */
    assert_int_equal(access(file, F_OK), -1);
    hang_up(c);
}

/* A pipe that nobody empties holds up its client alone, and not the end. */
static void test_pmemsave_to_a_full_pipe(void **state)
{
    char file[64];
    snprintf(file, sizeof file, "/tmp/test-control-%d.pipe", (int)getpid());
    assert_int_equal(mkfifo(file, 0600), 0);
    struct client *c = greet();
    save_memory(c, 0x80000000, 1 << 20, file);
    expect(c, GENERIC); /* no reader */
    int fd = open(file, O_RDONLY | O_NONBLOCK);
    save_memory(c, 0x80000000, 1 << 20, file);
    say(c, "{\"execute\":\"stop\"}");
    still_serves();
    struct client *gone = greet();
    save_memory(gone, 0x80000000, 1 << 20, file);
    hang_up(gone);
    still_serves();
    mv_machine_request_quit(machine, MV_CAUSE_HOST_SIGNAL);
    expect(c, "{\"event\":\"SHUTDOWN\",\"data\":{\"guest\":false,\"reason\":\"host-signal\"}}");
    expect_end(c);
    hang_up(c);
    close(fd);
    unlink(file);
}

/* Each command answers without arguments or refuses; never both, never twice. */
static void test_every_command(void **state)
{
    struct client *c = greet();
    const struct mv_qmp_command *command;
    for (size_t i = 0; (command = mv_qmp_command_at(i, false)) != NULL; i++) {
        const char *name = command->name;
        char text[256];
        if (strcmp(name, "quit") == 0)
            continue;
        snprintf(text, sizeof text, "{\"execute\":\"%s\",\"id\":%zu}", name, i);
        say(c, text);
        json_t *line = next(c);
        while (json_object_get(line, "event") != NULL) {
            json_decref(line);
            line = next(c);
        }
        assert_int_equal(json_integer_value(json_object_get(line, "id")), i);
        /* An answer that is not of its type says so. */
        const char *desc =
            json_string_value(json_object_get(json_object_get(line, "error"), "desc"));
        if (desc != NULL && strstr(desc, "cannot be told") != NULL)
            fail_msg("%s: %s", name, desc);
        json_decref(line);
    }
    hang_up(c);
}

/* --- bad neighbours */

/* It asks for much and reads nothing: its commands wait, and the VM does not. */
static void test_asks_and_does_not_read(void **state)
{
    struct client *c = greet();
    static const char ask[] = "{\"execute\":\"query-qmp-schema\"}";
    size_t asked = 0;
    while (asked < 100 * 1000 && send(c->fd, ask, sizeof ask - 1, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        asked++;
    assert_true(asked < 100 * 1000);
    still_serves();
    /* Once it reads it gets all that it asked for. */
    for (unsigned i = 0; i < 20; i++) {
        json_t *line = next(c);
        assert_non_null(json_object_get(line, "return"));
        json_decref(line);
    }
    still_serves();
    hang_up(c);
}

/* Events come unasked: at the bound their client is dropped. */
static void test_ignores_events(void **state)
{
    struct client *deaf = greet(), *c = greet();
    unsigned rounds = 0;
    for (bool alive = true; alive && rounds < 100 * 1000; rounds++) {
        say(c, "{\"execute\":\"cont\"}{\"execute\":\"stop\"}");
        for (int i = 0; i < 4; i++)
            json_decref(next(c));
        struct pollfd p = {deaf->fd, POLLIN, 0};
        poll(&p, 1, 0);
        alive = (p.revents & POLLHUP) == 0;
    }
    assert_true(rounds > 1000);
    assert_true(rounds < 100 * 1000);
    still_serves();
    hang_up(deaf);
    hang_up(c);
}

static void test_leaves_early(void **state)
{
    for (int i = 0; i < 200; i++) {
        struct client *c = dial();
        if (i % 2 == 0)
            say(c, HELLO "{\"execute\":\"query-qmp-schema\"}{\"exec");
        hang_up(c);
    }
    still_serves();
}

/* What was sent before the end of a connection is still done, and answered. */
static void test_half_closed(void **state)
{
    struct client *c = dial();
    say(c, HELLO "{\"execute\":\"cont\"}");
    shutdown(c->fd, SHUT_WR);
    json_decref(next(c));
    expect(c, EMPTY);
    expect(c, "{\"event\":\"RESUME\"}");
    expect(c, EMPTY);
    expect_end(c);
    hang_up(c);
}

static void test_too_many(void **state)
{
    struct client *clients[CLIENTS_MAX];
    for (int i = 0; i < CLIENTS_MAX; i++)
        clients[i] = greet();
    struct client *more = dial();
    expect_end(more);
    hang_up(more);
    say(clients[0], "{\"execute\":\"stop\"}");
    expect(clients[0], EMPTY);
    for (int i = 0; i < CLIENTS_MAX; i++)
        hang_up(clients[i]);
    /* The places are free again, once the loop has seen it. */
    for (int i = 0;; i++) {
        more = dial();
        json_t *line = next(more);
        hang_up(more);
        json_decref(line);
        if (line != NULL)
            break;
        assert_true(i < 1000);
    }
}

static void *pause_and_go(void *opaque)
{
    static const char *const commands[] = {"stop", "cont", "query-status", "query-cpus-fast"};
    struct client *c = greet();
    unsigned *failures = opaque;
    for (unsigned i = 0; i < 500; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"execute\":\"%s\",\"id\":%u}", commands[i % 4], i);
        say(c, text);
        for (bool answered = false; !answered;) {
            json_t *line = next(c);
            answered = json_object_get(line, "event") == NULL;
            if (answered && json_integer_value(json_object_get(line, "id")) != (json_int_t)i)
                ++*failures;
            json_decref(line);
        }
    }
    hang_up(c);
    return NULL;
}

static void test_four_at_once(void **state)
{
    pthread_t threads[4];
    unsigned failures[4] = {0};
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, pause_and_go, &failures[i]);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(failures[i], 0);
    }
}

/* --- the socket's path */

static void test_paths(void **state)
{
    /* In use, and no socket.  Called beside the loop, which touches none of it. */
    int fd;
    assert_int_equal(mv_unix_listen("control socket", path, &fd, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(mv_unix_listen("control socket", kernel_path, &fd, &err), -EEXIST);
    assert_int_equal(mv_unix_listen("control socket", "/nonexistent/x", &fd, &err), -ENOENT);
}

static void test_long_path(void **state)
{
    char folder[256] = "/tmp/", name[300];
    memset(folder + 5, 'f', 200);
    snprintf(folder + 205, sizeof folder - 205, "%d", (int)getpid());
    assert_int_equal(mkdir(folder, 0700), 0);
    snprintf(name, sizeof name, "%s/qmp.sock", folder);
    int fd, client;
    if (mv_unix_listen("control socket", name, &fd, &err) != 0)
        fail_msg("%s", err.text);
    if (mv_unix_connect_now("control socket", name, &client, &err) != 0)
        fail_msg("%s", err.text);
    close(client);
    close(fd);
    /* Left behind by the dead: replaced. */
    assert_int_equal(mv_unix_connect_now("control socket", name, &client, &err), -ECONNREFUSED);
    assert_int_equal(mv_unix_listen("control socket", name, &fd, &err), 0);
    close(fd);
    unlink(name);
    rmdir(folder);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_greeting),       TEST(test_malformed),
        TEST(test_ids_in_order),   TEST(test_run_states),
        TEST(test_quit),           TEST(test_guest_ends),
        TEST(test_cpus),           TEST(test_every_command),
        TEST(test_leaves_early),   TEST(test_asks_and_does_not_read),
        TEST(test_ignores_events), TEST(test_half_closed),
        TEST(test_too_many),       TEST(test_four_at_once),
        TEST(test_memory_queries), TEST(test_pmemsave), TEST(test_pmemsave_to_a_full_pipe),
        TEST(test_paths),          cmocka_unit_test(test_long_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
