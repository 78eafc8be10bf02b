/* SPDX-License-Identifier: Apache-2.0 */
/* device/ns16550a.c against the PC16550D's data sheet and what Linux's 8250 driver probes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "platform-devices.h"
#include "fake-irq.h"

enum { RBR = 0, THR = 0, DLL = 0, IER = 1, DLM = 1, IIR = 2, FCR = 2, LCR, MCR, LSR, MSR, SCR };

struct uart {
    struct mv_serial_backend backend;
    struct fake_irq irq;
    struct mv_device *device;
    const struct mv_mmio_region *region;
    char out[10000];
    unsigned out_len;
    unsigned out_room; /* what the backend still takes */
    int ready_calls;
    const char *push; /* input that rx_ready pushes as room allows */
};

static unsigned backend_write(struct mv_serial_backend *backend, const uint8_t *buf, unsigned len)
{
    struct uart *u = (struct uart *)backend;
    if (len > u->out_room)
        len = u->out_room;
    memcpy(u->out + u->out_len, buf, len);
    u->out_len += len;
    u->out_room -= len;
    return len;
}

static void push_input(struct uart *u)
{
    unsigned n = mv_ns16550a_rx_room(u->device);
    if (n > strlen(u->push))
        n = strlen(u->push);
    mv_ns16550a_rx(u->device, (const uint8_t *)u->push, n);
    u->push += n;
}

static void backend_rx_ready(struct mv_serial_backend *backend)
{
    struct uart *u = (struct uart *)backend;
    u->ready_calls++;
    if (u->push != NULL)
        push_input(u);
}

static void uart_open(struct uart *u)
{
    struct mv_error err;
    memset(u, 0, sizeof *u);
    u->backend.write = backend_write;
    u->backend.rx_ready = backend_rx_ready;
    u->out_room = sizeof u->out;
    struct mv_irq irq = fake_irq_wire(&u->irq);
    const struct mv_platform platform = {.irqchip = irq.chip, .serial = &u->backend};
    const struct mv_platform_row row = {.intid = irq.intid};
    assert_int_equal(mv_ns16550a_type.create(&platform, &row, &u->device, &err), 0);
    u->region = &u->device->region;
}

static void uart_close(struct uart *u)
{
    assert_int_equal(u->irq.repeats, 0);
    mv_device_destroy(u->device);
}

static unsigned in(struct uart *u, unsigned reg)
{
    return (unsigned)u->region->ops->read(u->region->opaque, reg, 1);
}

static void out(struct uart *u, unsigned reg, unsigned value)
{
    u->region->ops->write(u->region->opaque, reg, value, 1);
}

static void rx(struct uart *u, const char *text)
{
    mv_ns16550a_rx(u->device, (const uint8_t *)text, (unsigned)strlen(text));
}

/* A program that polls sees what there is when it looks again. */
static void wait_for_data(struct uart *u)
{
    in(u, LSR);
    assert_int_equal(in(u, LSR), 0x61);
}

static void test_reset_values(void **state)
{
    struct uart u;
    uart_open(&u);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(in(&u, IER), 0);
        assert_int_equal(in(&u, IIR), 0x01);
        assert_int_equal(in(&u, LCR), 0);
        assert_int_equal(in(&u, MCR), 0);
        assert_int_equal(in(&u, LSR), 0x60);
        assert_int_equal(in(&u, MSR), 0xb0);
        assert_int_equal(in(&u, SCR), 0);
        out(&u, IER, 0x0f);
        out(&u, FCR, 0xc1);
        out(&u, LCR, 0x80);
        out(&u, DLL, 0x11);
        out(&u, DLM, 0x22);
        assert_int_equal(in(&u, DLL), 0x11);
        assert_int_equal(in(&u, DLM), 0x22);
        out(&u, LCR, 0x03);
        out(&u, SCR, 0x5a);
        assert_int_equal(in(&u, SCR), 0x5a);
        out(&u, MCR, 0x13);
        rx(&u, "x");
        assert_true(u.irq.level);
        u.device->ops->reset(u.device);
        assert_false(u.irq.level);
    }
    uart_close(&u);
}

/* The steps by which Linux's autoconfig tells a 16550A from its relatives. */
static void test_linux_autoconfig(void **state)
{
    struct uart u;
    uart_open(&u);
    out(&u, IER, 0x00);
    assert_int_equal(in(&u, IER), 0);
    out(&u, IER, 0xff);
    assert_int_equal(in(&u, IER), 0x0f);
    out(&u, IER, 0x00);
    out(&u, MCR, 0x1a);
    assert_int_equal(in(&u, MSR) & 0xf0, 0x90);
    out(&u, MCR, 0);
    out(&u, LCR, 0xbf);
    out(&u, FCR, 0x00);
    out(&u, LCR, 0);
    out(&u, FCR, 0x01);
    assert_int_equal(in(&u, IIR) >> 6, 3);
    /* No enhanced feature register, no second bank, no 64-byte FIFO, no UUE. */
    out(&u, LCR, 0x80);
    assert_int_not_equal(in(&u, 2), 0);
    out(&u, LCR, 0xbf);
    assert_int_not_equal(in(&u, 2), 0);
    out(&u, LCR, 0xe0);
    assert_int_equal(in(&u, 2) & 0x10, 0);
    out(&u, LCR, 0xbf);
    out(&u, FCR, 0x21);
    out(&u, LCR, 0);
    assert_int_equal(in(&u, IIR) >> 5, 6);
    out(&u, IER, 0x40);
    assert_int_equal(in(&u, IER) & 0x40, 0);
    uart_close(&u);
}

/* serial8250_clear_fifos. */
static void clear_fifos(struct uart *u)
{
    out(u, FCR, 0x01);
    out(u, FCR, 0x07);
    out(u, FCR, 0x00);
}

/* "Clear the interrupt registers": all are read, once, and what they say is dropped. */
static void read_and_drop(struct uart *u)
{
    in(u, LSR);
    in(u, RBR);
    in(u, IIR);
    in(u, MSR);
}

/*
 * What Linux 6.1 does to the UART from its probe to the first reader of the
 * terminal (8250_port.c): autoconfig's end, serial8250_do_startup with its test
 * of the transmit interrupt, serial8250_do_set_termios.
 */
static void linux_opens(struct uart *u)
{
    clear_fifos(u);
    in(u, RBR);
    out(u, IER, 0x00);
    /* The console's first lines, which wait for the transmitter. */
    for (int i = 0; i < 50; i++) {
        in(u, LSR);
        out(u, THR, '.');
    }
    clear_fifos(u);
    read_and_drop(u);
    in(u, LSR);
    for (int i = 0; i < 9; i++)
        in(u, LSR); /* wait_for_xmitr */
    out(u, IER, 0x02);
    in(u, IIR);
    out(u, IER, 0x00);
    out(u, IER, 0x02);
    in(u, IIR);
    out(u, IER, 0x00);
    out(u, LCR, 0x03);
    out(u, MCR, 0x08);
    out(u, IER, 0x02);
    in(u, LSR);
    in(u, IIR);
    out(u, IER, 0x00);
    read_and_drop(u);
    out(u, IER, 0x05);
    out(u, LCR, 0x83);
    out(u, DLL, 12);
    out(u, DLM, 0);
    out(u, LCR, 0x03);
    out(u, FCR, 0x01);
    out(u, FCR, 0x81);
    out(u, MCR, 0x0b);
}

/* What is typed, or comes from a file, while the guest boots waits for its driver. */
static void test_early_input(void **state)
{
    static const char text[] = "exit, typed at once";
    struct uart u;
    uart_open(&u);
    u.push = text;
    push_input(&u);
    for (int round = 0; round < 2; round++) {
        linux_opens(&u);
        assert_true(u.irq.level);
        for (int i = round * 6; i < round * 6 + 6; i++) {
            assert_int_equal(in(&u, LSR) & 1, 1);
            assert_int_equal(in(&u, RBR), text[i]);
        }
        /* Closed, or reset; and opened again. */
        if (round == 0) {
            out(&u, IER, 0x00);
            clear_fifos(&u);
            in(&u, RBR);
        } else {
            u.device->ops->reset(u.device);
        }
    }
    linux_opens(&u);
    for (unsigned i = 12; i < sizeof text - 1; i++)
        assert_int_equal(in(&u, RBR), text[i]);
    assert_int_equal(in(&u, LSR), 0x60);
    uart_close(&u);
}

static void test_receive_fifo(void **state)
{
    struct uart u;
    uart_open(&u);
    assert_int_equal(mv_ns16550a_rx_room(u.device), 1);
    out(&u, FCR, 0x81); /* trigger at 8 */
    assert_int_equal(mv_ns16550a_rx_room(u.device), 16);
    out(&u, IER, 0x01);
    rx(&u, "abcdefg");
    assert_int_equal(mv_ns16550a_rx_room(u.device), 9);
    assert_true(u.irq.level);
    assert_int_equal(in(&u, IIR), 0xcc); /* timed out below the trigger */
    assert_int_equal(in(&u, LSR), 0x61);
    rx(&u, "h");
    assert_int_equal(in(&u, IIR), 0xc4);
    int calls = u.ready_calls;
    assert_int_equal(in(&u, RBR), 'a');
    assert_int_equal(u.ready_calls, calls + 1);
    assert_int_equal(in(&u, IIR), 0xcc);
    for (int c = 'b'; c <= 'h'; c++)
        assert_int_equal(in(&u, RBR), c);
    assert_false(u.irq.level);
    assert_int_equal(in(&u, IIR), 0xc1);
    assert_int_equal(in(&u, LSR), 0x60);
    assert_int_equal(in(&u, RBR), 0);

    static const struct {
        unsigned fcr, trigger;
    } levels[] = {{0x01, 1}, {0x41, 4}, {0x81, 8}, {0xc1, 14}};
    for (unsigned i = 0; i < 4; i++) {
        out(&u, FCR, levels[i].fcr | 0x02);
        for (unsigned n = 1; n <= 16; n++) {
            rx(&u, "z");
            assert_int_equal(in(&u, IIR), n >= levels[i].trigger ? 0xc4 : 0xcc);
        }
        assert_int_equal(mv_ns16550a_rx_room(u.device), 0);
        for (unsigned n = 1; n <= 16; n++)
            assert_int_equal(in(&u, RBR), 'z');
    }
    /* Masked, the data is there for who polls, and the interrupt is not. */
    rx(&u, "z");
    out(&u, IER, 0);
    assert_false(u.irq.level);
    assert_int_equal(in(&u, IIR), 0xc1);
    wait_for_data(&u);
    assert_int_equal(in(&u, RBR), 'z');
    uart_close(&u);
}

static void test_overrun(void **state)
{
    struct uart u;
    uart_open(&u);
    out(&u, FCR, 0x01);
    out(&u, IER, 0x05);
    rx(&u, "0123456789abcdef");
    assert_int_equal(in(&u, IIR), 0xc4);
    rx(&u, "!");
    assert_int_equal(in(&u, IIR), 0xc6); /* line status comes first */
    assert_int_equal(in(&u, LSR), 0x63);
    assert_int_equal(in(&u, LSR), 0x61); /* reading cleared the error */
    assert_int_equal(in(&u, IIR), 0xc4);
    assert_int_equal(in(&u, RBR), '0'); /* the FIFO kept what it had */
    uart_close(&u);
}

static void test_fifo_bits(void **state)
{
    struct uart u;
    uart_open(&u);
    out(&u, FCR, 0x01);
    rx(&u, "abc");
    wait_for_data(&u);
    int calls = u.ready_calls;
    out(&u, FCR, 0x03);
    assert_int_equal(in(&u, LSR), 0x60);
    assert_int_equal(u.ready_calls, calls + 1);
    wait_for_data(&u);  /* they come again */
    out(&u, FCR, 0x00); /* switching modes clears as well */
    assert_int_equal(in(&u, LSR), 0x60);
    assert_int_equal(in(&u, IIR), 0x01);
    wait_for_data(&u);
    for (int c = 'a'; c <= 'c'; c++)
        assert_int_equal(in(&u, RBR), c);
    assert_int_equal(in(&u, LSR), 0x60);
    /* Room may shrink between asking for it and using it: nothing is lost. */
    rx(&u, "xyz");
    assert_int_equal(mv_ns16550a_rx_room(u.device), 0);
    wait_for_data(&u);
    assert_int_equal(in(&u, RBR), 'x');
    assert_int_equal(in(&u, RBR), 'y');
    assert_int_equal(in(&u, RBR), 'z');
    assert_int_equal(in(&u, LSR), 0x60);
    /* The trigger bits count only together with the enable bit. */
    out(&u, FCR, 0xc0);
    out(&u, FCR, 0x01);
    out(&u, IER, 0x01);
    rx(&u, "q");
    assert_int_equal(in(&u, IIR), 0xc4);
    uart_close(&u);
}

static void test_thre_interrupt(void **state)
{
    struct uart u;
    uart_open(&u);
    out(&u, IER, 0x02); /* enabling raises it: the transmitter is empty */
    assert_true(u.irq.level);
    assert_int_equal(in(&u, IIR), 0x02);
    assert_false(u.irq.level); /* reading IIR cleared it */
    assert_int_equal(in(&u, IIR), 0x01);
    out(&u, IER, 0x02);
    assert_false(u.irq.level);
    out(&u, IER, 0x00);
    out(&u, IER, 0x02);
    assert_true(u.irq.level);
    out(&u, IER, 0x00);
    assert_false(u.irq.level);
    out(&u, THR, 'a');
    assert_false(u.irq.level);
    out(&u, IER, 0x02);
    assert_int_equal(in(&u, IIR), 0x02);
    out(&u, THR, 'b'); /* sent at once, so it is empty again */
    assert_true(u.irq.level);
    /* A cause of higher priority hides it, and reading IIR does not clear it then. */
    out(&u, IER, 0x03);
    rx(&u, "x");
    assert_int_equal(in(&u, IIR), 0x04);
    assert_int_equal(in(&u, RBR), 'x');
    assert_int_equal(in(&u, IIR), 0x02);
    assert_false(u.irq.level);
    assert_int_equal(u.out_len, 2);
    uart_close(&u);
}

static void test_transmit_flow(void **state)
{
    struct uart u;
    uart_open(&u);
    u.out_room = 3;
    out(&u, FCR, 0x01);
    for (int c = 'a'; c <= 'f'; c++)
        out(&u, THR, c);
    assert_int_equal(u.out_len, 3);
    assert_int_equal(in(&u, LSR), 0x00);
    out(&u, IER, 0x02);
    assert_false(u.irq.level); /* not empty: nothing to raise */
    out(&u, FCR, 0x07);        /* what is on the wire is past clearing */
    u.device->ops->reset(u.device);
    assert_int_equal(in(&u, LSR), 0x00);
    out(&u, IER, 0x02);
    mv_ns16550a_tx_ready(u.device);
    assert_int_equal(u.out_len, 3);
    u.out_room = 2;
    mv_ns16550a_tx_ready(u.device);
    assert_int_equal(u.out_len, 5);
    assert_int_equal(in(&u, LSR), 0x00);
    assert_false(u.irq.level);
    u.out_room = 100;
    mv_ns16550a_tx_ready(u.device);
    assert_memory_equal(u.out, "abcdef", 6);
    assert_int_equal(in(&u, LSR), 0x60);
    assert_true(u.irq.level);
    assert_int_equal(in(&u, IIR), 0x02);
    mv_ns16550a_tx_ready(u.device); /* nothing was sent: nothing new */
    assert_false(u.irq.level);
    uart_close(&u);
}

/* A machine that stands still says nothing, and has it all to say later. */
static void test_held_transmitter(void **state)
{
    struct uart u;
    uart_open(&u);
    u.out_room = 1;
    for (int c = 'a'; c <= 'c'; c++)
        out(&u, THR, c);
    mv_ns16550a_hold(u.device, true);
    u.out_room = 100;
    mv_ns16550a_tx_ready(u.device);
    assert_int_equal(u.out_len, 1);
    assert_int_equal(in(&u, LSR), 0x00);
    mv_ns16550a_hold(u.device, false);
    assert_memory_equal(u.out, "abc", 3);
    assert_int_equal(in(&u, LSR), 0x60);
    uart_close(&u);
}

/* A guest that ignores THRE overruns the queue; order holds, memory does too. */
static void test_transmit_overrun(void **state)
{
    struct uart u;
    uart_open(&u);
    u.out_room = 7; /* so that the ring's end is inside the queue */
    for (int i = 0; i < 5000; i++)
        out(&u, THR, 'A' + i % 26);
    u.out_room = 9000;
    mv_ns16550a_tx_ready(u.device);
    assert_int_equal(u.out_len, 4096 + 7);
    for (unsigned i = 0; i < u.out_len; i++)
        assert_int_equal(u.out[i], 'A' + i % 26);
    uart_close(&u);
}

static void test_loopback(void **state)
{
    struct uart u;
    uart_open(&u);
    out(&u, FCR, 0x01);
    in(&u, MSR);
    out(&u, MCR, 0x10);
    assert_int_equal(in(&u, MSR), 0x0b); /* CTS, DSR, DCD went away; RI never was */
    assert_int_equal(in(&u, MSR), 0x00);
    static const struct {
        unsigned mcr, msr;
    } pairs[] = {{0x11, 0x22}, {0x12, 0x11}, {0x14, 0x40}, {0x18, 0x88}};
    for (unsigned i = 0; i < 4; i++) {
        out(&u, MCR, pairs[i].mcr);
        assert_int_equal(in(&u, MSR), pairs[i].msr);
        out(&u, MCR, 0x10);
        /* RI counts when it goes, the others count both ways. */
        assert_int_equal(in(&u, MSR), i == 2 ? 0x04 : pairs[i].msr & 0x0f);
    }
    /* Modem interrupts work in loopback, and data stays inside. */
    out(&u, IER, 0x08);
    assert_false(u.irq.level);
    out(&u, MCR, 0x11);
    assert_true(u.irq.level);
    assert_int_equal(in(&u, IIR), 0xc0);
    in(&u, MSR);
    assert_false(u.irq.level);
    out(&u, THR, 'L');
    assert_int_equal(in(&u, LSR), 0x61);
    assert_int_equal(in(&u, RBR), 'L');
    assert_int_equal(u.out_len, 0);
    for (int i = 0; i < 17; i++)
        out(&u, THR, 'a' + i);
    assert_int_equal(in(&u, LSR), 0x63);
    assert_int_equal(in(&u, RBR), 'a');
    /* Without FIFOs the newer character replaces the older. */
    out(&u, FCR, 0);
    out(&u, THR, '1');
    out(&u, THR, '2');
    assert_int_equal(in(&u, LSR), 0x63);
    assert_int_equal(in(&u, RBR), '2');
    assert_int_equal(mv_ns16550a_rx_room(u.device), 0);
    int calls = u.ready_calls;
    out(&u, MCR, 0x00);
    assert_int_equal(u.ready_calls, calls + 1);
    assert_int_equal(mv_ns16550a_rx_room(u.device), 1);
    /* What the host sent waits outside, and comes after what went round. */
    rx(&u, "h");
    wait_for_data(&u);
    out(&u, MCR, 0x10);
    assert_int_equal(in(&u, LSR), 0x60);
    assert_int_equal(in(&u, LSR), 0x60);
    out(&u, THR, '3');
    out(&u, MCR, 0x00);
    assert_int_equal(in(&u, RBR), '3');
    assert_int_equal(in(&u, LSR), 0x61);
    assert_int_equal(in(&u, RBR), 'h');
    uart_close(&u);
}

static void test_input_from_rx_ready(void **state)
{
    static const char text[] = "the quick brown fox jumps over the lazy dog, twice";
    struct uart u;
    uart_open(&u);
    out(&u, FCR, 0x01);
    u.push = text;
    push_input(&u);
    wait_for_data(&u);
    for (unsigned i = 0; i < sizeof text - 1; i++) {
        assert_int_equal(in(&u, LSR), 0x61);
        assert_int_equal(in(&u, RBR), text[i]);
    }
    assert_int_equal(in(&u, LSR), 0x60);
    uart_close(&u);
}

static void test_rts_holds_input(void **state)
{
    (void)state;
    struct uart u;
    uart_open(&u);
    out(&u, FCR, 1);
    /* Never raised: the program does not know of it. */
    assert_int_not_equal(mv_ns16550a_rx_room(u.device), 0);
    out(&u, MCR, 0x03);
    assert_int_not_equal(mv_ns16550a_rx_room(u.device), 0);
    out(&u, MCR, 0x01);
    assert_int_equal(mv_ns16550a_rx_room(u.device), 0);
    int calls = u.ready_calls;
    out(&u, MCR, 0x03);
    assert_int_equal(u.ready_calls, calls + 1);
    assert_int_not_equal(mv_ns16550a_rx_room(u.device), 0);
    out(&u, MCR, 0x01);
    u.device->ops->reset(u.device);
    assert_int_not_equal(mv_ns16550a_rx_room(u.device), 0);
    uart_close(&u);
}

static void test_no_backend(void **state)
{
    struct mv_error err;
    struct mv_device *device;
    const struct mv_platform platform = {0};
    const struct mv_platform_row row = {0};
    assert_int_equal(mv_ns16550a_type.create(&platform, &row, &device, &err), 0);
    const struct mv_mmio_region *region = &device->region;
    region->ops->write(region->opaque, THR, 'x', 1);
    assert_int_equal(region->ops->read(region->opaque, LSR, 1), 0x60);
    device->ops->reset(device);
    mv_device_destroy(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset_values),
        cmocka_unit_test(test_linux_autoconfig),
        cmocka_unit_test(test_early_input),
        cmocka_unit_test(test_receive_fifo),
        cmocka_unit_test(test_overrun),
        cmocka_unit_test(test_fifo_bits),
        cmocka_unit_test(test_thre_interrupt),
        cmocka_unit_test(test_transmit_flow),
        cmocka_unit_test(test_held_transmitter),
        cmocka_unit_test(test_transmit_overrun),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_input_from_rx_ready),
        cmocka_unit_test(test_rts_holds_input),
        cmocka_unit_test(test_no_backend),
    };
    return cmocka_run_group_tests_name("ns16550a", tests, NULL, NULL);
}
