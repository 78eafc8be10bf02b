/* SPDX-License-Identifier: Apache-2.0 */
/*
 * struct mv_ns16550a: a 16550A UART (National PC16550D data sheet).
 *
 * Owns the registers and both FIFOs under the device's lock.  Callers: vCPU threads by
 * the MMIO region, the serial backend's thread by the rx and tx_ready
 * functions.  The backend's write is called with the lock held, its rx_ready
 * without, so that it may push input from inside that call.
 *
 * The wire is as fast as the backend: characters go out when they are written,
 * and input below the trigger level has timed out when it arrives.  What the
 * backend does not take waits in the transmit queue, and LSR says so.  To a
 * FIFO clear and to a reset that queue is the wire: it keeps its bytes, so a
 * slow host loses nothing that the guest has sent.  Nor does a guest that is
 * slow to start lose what the host has sent (ns16550a-fifos.c): that arrives
 * once the guest listens, by the receive interrupt or by polling LSR.
 */
#include "ns16550a-fifos.h"
#include "platform-devices.h"

#include "cleanup.h"
#include "fdt-writer.h"

#define CLOCK_HZ 1843200 /* the guest is told; nothing follows from it */

enum reg { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RX    0x01
#define IER_THRE  0x02
#define IER_LINE  0x04
#define IER_MODEM 0x08
#define IER_MASK  0x0f

#define IIR_NONE    0x01
#define IIR_MODEM   0x00
#define IIR_THRE    0x02
#define IIR_RX      0x04
#define IIR_LINE    0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFOS   0xc0

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02
#define FCR_KEPT     0xc9 /* enable, DMA mode, trigger */

#define LCR_DLAB 0x80

#define MCR_DTR  0x01
#define MCR_RTS  0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_MASK 0x1f

#define LSR_DR   0x01
#define LSR_OE   0x02
#define LSR_THRE 0x20
#define LSR_TEMT 0x40

#define MSR_DELTAS 0x0f
#define MSR_CTS    0x10
#define MSR_DSR    0x20
#define MSR_RI     0x40
#define MSR_DCD    0x80

struct mv_ns16550a {
    struct mv_device device;
    struct mv_irq irq;
    struct mv_serial_backend *backend; /* NULL: output is dropped */
    bool held;                         /* the machine stands still */
    uint8_t ier;
    uint8_t fcr;
    uint8_t lcr;
    uint8_t mcr;
    uint8_t lsr_errors;
    uint8_t msr;
    uint8_t scr;
    uint8_t dll;
    uint8_t dlm;
    bool thre_pending; /* the THRE interrupt's latch */
    bool rts_used;     /* the guest has raised RTS since reset */
    struct mv_uart_receiver rx;
    struct mv_uart_transmitter tx;
};

#define BITS(name, member, legal)                                                                  \
    MV_STATE_BITS(name, struct mv_ns16550a, member, MV_STATE_U8, legal)
#define ANY(name, member) BITS(name, member, 0xff)

static const struct mv_state_field state_fields[] = {
    BITS("ier", ier, IER_MASK),
    BITS("fcr", fcr, FCR_KEPT),
    BITS("mcr", mcr, MCR_MASK),
    BITS("lsr-errors", lsr_errors, LSR_OE),
    ANY("lcr", lcr),
    ANY("msr", msr),
    ANY("scr", scr),
    ANY("dll", dll),
    ANY("dlm", dlm),
    MV_STATE_FLAG("thre-pending", struct mv_ns16550a, thre_pending),
    MV_STATE_FLAG("rts-used", struct mv_ns16550a, rts_used),
    MV_UART_FIFOS_STATE_FIELDS(struct mv_ns16550a, rx, tx),
};

static bool fifos_enabled(const struct mv_ns16550a *u)
{
    return (u->fcr & FCR_ENABLE) != 0;
}

static bool in_loopback(const struct mv_ns16550a *u)
{
    return (u->mcr & MCR_LOOP) != 0;
}

/*
 * In loopback the line is cut off from the receiver.  RTS down asks the other
 * end to wait, as Linux does under crtscts; but a program that never raised it
 * does not know of it.
 */
static bool input_held(const struct mv_ns16550a *u)
{
    return in_loopback(u) || (u->rts_used && (u->mcr & MCR_RTS) == 0);
}

static unsigned rx_depth(const struct mv_ns16550a *u)
{
    return fifos_enabled(u) ? MV_UART_FIFO : 1;
}

/* What the host sent arrives while the guest listens. */
static void rx_arrive(struct mv_ns16550a *u)
{
    if (!in_loopback(u) && ((u->ier & IER_RX) != 0 || u->rx.polls == MV_UART_POLLS))
        mv_uart_receiver_arrive(&u->rx, rx_depth(u));
}

static unsigned rx_trigger(const struct mv_ns16550a *u)
{
    static const uint8_t levels[] = {1, 4, 8, 14};
    return fifos_enabled(u) ? levels[u->fcr >> 6] : 1;
}

/* The cause of highest priority without the FIFO bits (data sheet, table IV). */
static uint8_t interrupt_cause(const struct mv_ns16550a *u)
{
    if ((u->ier & IER_LINE) != 0 && u->lsr_errors != 0)
        return IIR_LINE;
    unsigned received = mv_uart_receiver_used(&u->rx);
    if ((u->ier & IER_RX) != 0 && received != 0)
        return received >= rx_trigger(u) ? IIR_RX : IIR_TIMEOUT;
    if ((u->ier & IER_THRE) != 0 && u->thre_pending)
        return IIR_THRE;
    if ((u->ier & IER_MODEM) != 0 && (u->msr & MSR_DELTAS) != 0)
        return IIR_MODEM;
    return IIR_NONE;
}

/* At the end of every change. */
static void update_irq(struct mv_ns16550a *u)
{
    rx_arrive(u);
    mv_irq_set(&u->irq, interrupt_cause(u) != IIR_NONE);
}

/* The queue's last byte raises THRE. */
static void tx_drain(struct mv_ns16550a *u)
{
    if (!u->held && mv_uart_transmitter_drain(&u->tx, u->backend))
        u->thre_pending = true;
}

static void tx_byte(struct mv_ns16550a *u, uint8_t byte)
{
    u->thre_pending = false;
    if (in_loopback(u)) {
        if (!mv_uart_receiver_loop(&u->rx, byte, rx_depth(u)))
            u->lsr_errors |= LSR_OE;
        u->thre_pending = true;
        return;
    }
    mv_uart_transmitter_put(&u->tx, byte);
    tx_drain(u);
}

/* The modem's inputs: a terminal that is always there, or MCR's outputs in loopback. */
static uint8_t modem_inputs(const struct mv_ns16550a *u)
{
    if (!in_loopback(u))
        return MSR_CTS | MSR_DSR | MSR_DCD;
    return ((u->mcr & MCR_RTS) != 0 ? MSR_CTS : 0) | ((u->mcr & MCR_DTR) != 0 ? MSR_DSR : 0) |
           ((u->mcr & MCR_OUT1) != 0 ? MSR_RI : 0) | ((u->mcr & MCR_OUT2) != 0 ? MSR_DCD : 0);
}

/* Deltas stand four bits below their inputs; RI counts at its trailing edge only. */
static void update_msr(struct mv_ns16550a *u)
{
    uint8_t inputs = modem_inputs(u);
    uint8_t changed = (u->msr ^ inputs) & (uint8_t)~MSR_DELTAS;
    changed &= ~(inputs & MSR_RI);
    u->msr = inputs | (u->msr & MSR_DELTAS) | changed >> 4;
}

static uint8_t line_status(const struct mv_ns16550a *u)
{
    return u->lsr_errors | (mv_uart_receiver_used(&u->rx) != 0 ? LSR_DR : 0) |
           (u->tx.count == 0 || in_loopback(u) ? LSR_THRE | LSR_TEMT : 0);
}

static uint8_t read_iir(struct mv_ns16550a *u)
{
    uint8_t cause = interrupt_cause(u);
    if (cause == IIR_THRE)
        u->thre_pending = false;
    return cause | (fifos_enabled(u) ? IIR_FIFOS : 0);
}

static uint8_t read_register(struct mv_ns16550a *u, enum reg reg, bool *ret_room)
{
    bool dlab = (u->lcr & LCR_DLAB) != 0;
    uint8_t value;
    switch (reg) {
    case REG_DATA:
        if (dlab)
            return u->dll;
        return mv_uart_receiver_pop(&u->rx, ret_room);
    case REG_IER:
        return dlab ? u->dlm : u->ier;
    case REG_IIR_FCR:
        return read_iir(u);
    case REG_LCR:
        return u->lcr;
    case REG_MCR:
        return u->mcr;
    case REG_LSR:
        u->rx.polls += u->rx.polls < MV_UART_POLLS;
        rx_arrive(u);
        value = line_status(u);
        u->lsr_errors = 0;
        return value;
    case REG_MSR:
        value = u->msr;
        u->msr &= ~MSR_DELTAS;
        return value;
    case REG_SCR:
        return u->scr;
    }
    return 0;
}

/* What a read gives, and does not take. */
static uint8_t peek_register(const struct mv_ns16550a *u, enum reg reg)
{
    struct mv_ns16550a copy = *u;
    bool room;
    return read_register(&copy, reg, &room);
}

static void write_ier(struct mv_ns16550a *u, uint8_t value)
{
    /* Enabling the interrupt raises it where the transmitter is empty already. */
    if ((value & ~u->ier & IER_THRE) != 0)
        u->thre_pending = (line_status(u) & LSR_THRE) != 0;
    u->ier = value & IER_MASK;
    if ((u->ier & IER_RX) == 0)
        mv_uart_receiver_unarrive(&u->rx);
}

/*
 * Changing the enable bit clears the FIFOs (data sheet, 8.4).  A driver does so
 * when it starts, with no thought of what was typed meanwhile; it comes again.
 */
static void write_fcr(struct mv_ns16550a *u, uint8_t value, bool *ret_room)
{
    if (((value ^ u->fcr) & FCR_ENABLE) != 0 || (value & FCR_CLEAR_RX) != 0) {
        mv_uart_receiver_clear(&u->rx);
        *ret_room = true;
    }
    /* The other bits count only together with the enable bit. */
    u->fcr = (value & FCR_ENABLE) != 0 ? value & FCR_KEPT : 0;
}

static void write_register(struct mv_ns16550a *u, enum reg reg, uint8_t value, bool *ret_room)
{
    bool dlab = (u->lcr & LCR_DLAB) != 0;
    switch (reg) {
    case REG_DATA:
        if (dlab)
            u->dll = value;
        else
            tx_byte(u, value);
        break;
    case REG_IER:
        if (dlab)
            u->dlm = value;
        else
            write_ier(u, value);
        break;
    case REG_IIR_FCR:
        write_fcr(u, value, ret_room);
        break;
    case REG_LCR:
        u->lcr = value;
        break;
    case REG_MCR: {
        bool held = input_held(u);
        u->mcr = value & MCR_MASK;
        if (in_loopback(u))
            mv_uart_receiver_unarrive(&u->rx);
        u->rts_used |= (value & (MCR_RTS | MCR_LOOP)) == MCR_RTS;
        *ret_room = held && !input_held(u);
        update_msr(u);
        break;
    }
    case REG_SCR:
        u->scr = value;
        break;
    case REG_LSR:
    case REG_MSR:
        break;
    }
}

static void tell_room(struct mv_ns16550a *u)
{
    if (u->backend != NULL)
        u->backend->rx_ready(u->backend);
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mv_ns16550a *u = opaque;
    bool room = false;
    uint64_t value;
    {
        MV_LOCK_SCOPE(&u->device.lock);
        value = read_register(u, offset % MV_NS16550A_SIZE, &room);
        update_irq(u);
    }
    if (room)
        tell_room(u);
    return value;
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct mv_ns16550a *u = opaque;
    bool room = false;
    {
        MV_LOCK_SCOPE(&u->device.lock);
        write_register(u, offset % MV_NS16550A_SIZE, (uint8_t)value, &room);
        update_irq(u);
    }
    if (room)
        tell_room(u);
}

static uint64_t mmio_peek(void *opaque, uint64_t offset, unsigned size)
{
    struct mv_ns16550a *u = opaque;
    MV_LOCK_SCOPE(&u->device.lock);
    return peek_register(u, offset % MV_NS16550A_SIZE);
}

static const struct mv_mmio_ops mmio_ops = {
    .read = mmio_read, .peek = mmio_peek, .write = mmio_write, .min_access = 1, .max_access = 4};

static void reset(struct mv_device *device)
{
    struct mv_ns16550a *u = (struct mv_ns16550a *)device;
    {
        MV_LOCK_SCOPE(&u->device.lock);
        u->ier = u->fcr = u->lcr = u->mcr = u->lsr_errors = u->scr = 0;
        u->dll = u->dlm = 0;
        mv_uart_receiver_clear(&u->rx);
        u->msr = modem_inputs(u);
        u->thre_pending = u->rts_used = false;
        update_irq(u);
    }
    tell_room(u);
}

static int check_state(const void *object, struct mv_error *err)
{
    const struct mv_ns16550a *u = object;
    if (u->fcr != 0 && !fifos_enabled(u))
        return mv_state_refuse(err, "fcr", "0x%x cannot be without the enable bit 0x%x", u->fcr,
                               FCR_ENABLE);
    if (((u->msr ^ modem_inputs(u)) & ~MSR_DELTAS) != 0)
        return mv_state_refuse(err, "msr", "the inputs in 0x%x are not those of mcr, 0x%x", u->msr,
                               modem_inputs(u));
    return mv_uart_receiver_check(&u->rx, rx_depth(u), err);
}

static void state_loaded(void *object)
{
    struct mv_ns16550a *u = object;
    mv_ns16550a_tx_ready(&u->device);
    {
        MV_LOCK_SCOPE(&u->device.lock);
        mv_irq_renew(&u->irq);
    }
    tell_room(u);
}

static const struct mv_state_table state_table =
    MV_STATE_TABLE(struct mv_ns16550a, "ns16550a", 1, state_fields,
                   .mutex = offsetof(struct mv_ns16550a, device.lock), .check = check_state,
                   .loaded = state_loaded);

static const struct mv_device_ops device_ops = {"ns16550a", &state_table, reset};

unsigned mv_ns16550a_rx_room(struct mv_device *device)
{
    struct mv_ns16550a *u = (struct mv_ns16550a *)device;
    MV_LOCK_SCOPE(&u->device.lock);
    return input_held(u) || u->rx.line_count >= rx_depth(u) ? 0 : rx_depth(u) - u->rx.line_count;
}

void mv_ns16550a_rx(struct mv_device *device, const uint8_t *buf, unsigned len)
{
    struct mv_ns16550a *u = (struct mv_ns16550a *)device;
    MV_LOCK_SCOPE(&u->device.lock);
    for (unsigned i = 0; i < len; i++) {
        if (u->rx.line_count == MV_UART_FIFO)
            u->lsr_errors |= LSR_OE;
        else
            u->rx.line[(u->rx.line_first + u->rx.line_count++) % MV_UART_FIFO] = buf[i];
    }
    update_irq(u);
}

void mv_ns16550a_tx_ready(struct mv_device *device)
{
    struct mv_ns16550a *u = (struct mv_ns16550a *)device;
    MV_LOCK_SCOPE(&u->device.lock);
    tx_drain(u);
    update_irq(u);
}

void mv_ns16550a_hold(struct mv_device *device, bool held)
{
    struct mv_ns16550a *u = (struct mv_ns16550a *)device;
    MV_LOCK_SCOPE(&u->device.lock);
    u->held = held;
    tx_drain(u);
    update_irq(u);
}

/* --- on a board */

static int create(const struct mv_platform *platform, const struct mv_platform_row *row,
                  struct mv_device **ret, struct mv_error *err)
{
    struct mv_ns16550a *u = mv_device_alloc(sizeof *u, &device_ops, "ns16550a", &mmio_ops, err);
    if (u == NULL)
        return -ENOMEM;
    u->irq = mv_platform_irq(platform, row);
    u->backend = platform->console == NULL ? platform->serial : NULL;
    u->msr = modem_inputs(u);
    *ret = &u->device;
    return 0;
}

static void describe(struct mv_fdt *fdt, const struct mv_platform *platform,
                     const struct mv_platform_row *row)
{
    mv_fdt_text(fdt, "compatible", "ns16550a");
    mv_fdt_reg(fdt, row->gpa, MV_NS16550A_SIZE);
    mv_fdt_interrupt(fdt, row->intid);
    MV_FDT_CELLS(fdt, "clock-frequency", CLOCK_HZ);
    MV_FDT_CELLS(fdt, "reg-shift", 0);
    MV_FDT_CELLS(fdt, "reg-io-width", 1);
}

const struct mv_platform_type mv_ns16550a_type = {"serial", offsetof(struct mv_platform, console),
                                                  create, MV_NS16550A_SIZE, .describe = describe};
