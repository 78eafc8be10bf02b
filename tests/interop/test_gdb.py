# SPDX-License-Identifier: Apache-2.0
"""GDB's own session on Debian's kernel through --gdb, and the protocol by hand."""
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest

import harness
from gdb_remote import Remote

# Debian's kernel comes without symbols, so one boot tells them.
SYMBOLS = """
echo 0 >/proc/sys/kernel/kptr_restrict
grep -v '\\[' /proc/kallsyms
"""
CMDLINE = "nokaslr"


def tool(name):
    path = shutil.which(name)
    if not path:
        pytest.fail("%s is missing: run scripts/setup.sh check" % name, pytrace=False)
    return path


def jiffies_address(function):
    """Where jiffies_64 is, for kallsyms has no data: as bpf_jiffies64 loads it."""
    kernel = harness.KERNEL.read_bytes()
    text = function & ~0x1ffffff # the kernel's image starts at a multiple of 32 MiB here
    words = struct.unpack_from("<16I", kernel, function - text)
    for i, word in enumerate(words):
        if word & 0x9f000000 == 0x90000000: # adrp
            offset = ((word >> 5 & 0x7ffff) << 2 | word >> 29 & 3) << 12
            page = (function + 4 * i & ~0xfff) + offset - (offset >> 32 & 1) * (1 << 33)
            load = next(w for w in words[i:] if w & 0xffc00000 == 0xf9400000)
            return page + (load >> 10 & 0xfff) * 8
    pytest.fail("bpf_jiffies64 does not load jiffies_64")


@pytest.fixture(scope="module")
def symbols(memvisor, initrd, tmp_path_factory):
    """An ELF file with the kernel's symbols, which GDB takes for its program."""
    folder = tmp_path_factory.mktemp("symbols")
    result = memvisor.boot(initrd(SYMBOLS), "-m", "256M", append=CMDLINE)
    # GDB guesses badly at code that has no unwind tables, so it gets some.
    found = re.findall(r"^(ffff[0-9a-f]{12}) ([tTdDbB]) (\w+)\r?$", result.out, re.M)
    assert len(found) > 20000, result
    # Each name once, each address once.
    by_name = {name: (int(address, 16), kind) for address, kind, name in found}
    found = sorted({address: (kind, name) for name, (address, kind) in by_name.items()}.items())
    base = found[0][0]
    lines = ['.cfi_sections .debug_frame', '.section .kernel,"ax",%nobits']
    for (address, (kind, name)), following in zip(found, [a for a, _ in found[1:]] + [0]):
        size = following - address if following else 4096
        lines.append(".global %s\n.type %s, %%%s" % (
            name, name, "function" if kind in "tT" else "object"))
        if kind not in "tT" or size < 8:
            lines.append("%s: .skip %d" % (name, size))
        else: # the caller is in the link register at first, then above the frame pointer
            lines.append("%s: .cfi_startproc\n.skip 4\n.cfi_def_cfa x29, 16\n.cfi_offset x29, -16\n"
                         ".cfi_offset x30, -8\n.skip %d\n.cfi_endproc" % (name, size - 4))
    lines.append(".global jiffies_64\n.set jiffies_64, %s + %#x\n.type jiffies_64, %%object"
                 % (found[0][1][1], jiffies_address(by_name["bpf_jiffies64"][0]) - base))
    (folder / "k.s").write_text("\n".join(lines) + "\n")
    for command in ([tool("aarch64-linux-gnu-as"), "k.s", "-o", "k.o"],
                    [tool("aarch64-linux-gnu-ld"), "--section-start=.kernel=%#x" % base,
                     "-e", "0", "k.o", "-o", "k.elf"]):
        made = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr[-2000:]
    return folder / "k.elf"


class Vm:
    """A guest with a debugger's socket, its console in a file."""

    def __init__(self, memvisor, initrd, folder, *options, cmdline=CMDLINE):
        self.socket = folder / "gdb"
        self.console = open(folder / "console", "w+")
        self.errors = open(folder / "errors", "w+")
        argv = memvisor.boot_argv(initrd, "-m", "256M", "--gdb", self.socket, *options,
                                  append=cmdline)
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.console,
                                        stderr=self.errors)
        end = time.monotonic() + 20 * harness.PATIENCE
        while not self.socket.exists():
            assert self.process.poll() is None and time.monotonic() < end, self.text(self.errors)
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.console.close()
        self.errors.close()

    @staticmethod
    def text(file):
        return os.pread(file.fileno(), 1 << 24, 0).decode(errors="replace")

    def wait_for(self, text, seconds=60):
        end = time.monotonic() + seconds * harness.PATIENCE
        while text not in self.text(self.console):
            assert self.process.poll() is None and time.monotonic() < end, \
                "%s\n%s" % (self.text(self.console)[-2000:], self.text(self.errors))
            time.sleep(0.05)

    def end(self, seconds=60):
        """The exit status."""
        code = self.process.wait(seconds * harness.PATIENCE)
        assert "Sanitizer" not in self.text(self.errors), self.text(self.errors)
        return code

    def gdb(self, *commands, symbols=None, seconds=90):
        """What GDB says to commands."""
        argv = [tool("gdb-multiarch"), "-nx", "-batch", "-ex", "set pagination off",
                "-ex", "set confirm off", "-ex", "set architecture aarch64",
                "-ex", "set remotetimeout %d" % (20 * harness.PATIENCE)]
        if symbols:
            argv += ["-ex", "file %s" % symbols]
        for command in ("target remote %s" % self.socket, *commands):
            argv += ["-ex", command]
        result = harness.run(argv, timeout=seconds)
        return result.out + result.err


def test_session_on_the_kernel(memvisor, initrd, symbols, tmp_path):
    """A breakpoint by symbol, a backtrace, a register changed, steps, a variable
    watched, and on."""
    script = initrd("mkdir /forbidden || echo refused\nmkdir /allowed && echo made\nsleep 1\n")
    with Vm(memvisor, script, tmp_path, "--paused", "-c", "2") as vm:
        said = vm.gdb(
            "info registers pc", "break start_kernel", "continue", "backtrace 3",
            "echo STEP\\n", "stepi", "stepi", "info registers pc",
            "delete", "hbreak __arm64_sys_mkdirat", "continue", "backtrace",
            "echo CHANGE\\n", "set $x0 = -13", "set $pc = $lr", "print (long)$x0",
            "delete", "watch *(unsigned long *)&jiffies_64", "continue", "backtrace",
            "info breakpoints", "delete", "info threads", "print $v0.d", "print/x $SCTLR_EL1",
            "detach", symbols=symbols)
        assert vm.end() == 0, vm.text(vm.errors)
        console = vm.text(vm.console)
    assert re.search(r"Breakpoint 1, 0x[0-9a-f]+ in start_kernel \(\)", said), said
    steps = [int(x, 16) for x in re.findall(r"^pc +(0x[0-9a-f]+)", said, re.M)]
    assert len(steps) == 2 and "start_kernel+" in said.split("STEP")[1].split("Breakpoint")[0], said
    assert re.search(r"Breakpoint 2, 0x[0-9a-f]+ in __arm64_sys_mkdirat \(\)", said), said
    frames = re.findall(r"^#\d+ +0x[0-9a-f]+ in (\w+) \(\)", said, re.M)
    for function in ("__arm64_sys_mkdirat", "invoke_syscall", "do_el0_svc", "el0_svc"):
        assert function in frames, said
    assert "$1 = -13" in said, said
    watched = said.split("CHANGE")[1]
    assert "Hardware watchpoint 3" in watched and "Old value = " in watched, said
    assert re.search(r"jiffies|tick|timer", " ".join(
        re.findall(r" in (\w+) \(\)", watched))), said
    assert "already hit 1 time" in watched, said
    assert "Thread 2 (CPU 1)" in said, said
    assert "detached" in said, said
    assert "Permission denied" in console and "refused" in console and "made" in console, console


def test_interrupt_and_threads(memvisor, shell_initrd, tmp_path):
    with Vm(memvisor, shell_initrd, tmp_path, "-c", "3") as vm:
        vm.wait_for("/root #")
        argv = [tool("gdb-multiarch"), "-nx", "-q", "-ex", "set pagination off",
                "-ex", "set style enabled off", "-ex", "set confirm off", "-ex", "target remote %s" % vm.socket]
        with harness.spawn(argv[0], argv[1:], timeout=60 * harness.PATIENCE, encoding="utf-8") as gdb:
            gdb.expect(r"\(gdb\) ")
            gdb.sendline("info threads")
            gdb.expect(r"Thread 3 \(CPU 2\)")
            gdb.expect(r"\(gdb\) ")
            for _ in range(2):
                gdb.sendline("continue")
                gdb.expect("Continuing")
                time.sleep(0.3)
                gdb.sendintr()
                gdb.expect("SIGINT")
                gdb.expect(r"\(gdb\) ")
            gdb.sendline("thread 2")
            gdb.expect("Switching to thread 2")
            gdb.sendline("stepi")
            gdb.expect(r"0x[0-9a-f]+ in")
            gdb.sendline("monitor help")
            gdb.expect("monitor reset")
            gdb.sendline("kill")
            gdb.expect("killed")
        assert vm.end() == 0
        assert "ended by the debugger" in vm.text(vm.errors)


def test_the_guest_goes_on_when_the_debugger_is_gone(memvisor, shell_initrd, tmp_path):
    """Killed while the guest stood at a breakpoint; a second one finds it running."""
    with Vm(memvisor, shell_initrd, tmp_path) as vm:
        vm.wait_for("/root #")
        debugger = subprocess.Popen(
            [tool("gdb-multiarch"), "-nx", "-q", "-ex", "target remote %s" % vm.socket,
             "-ex", "hbreak *($VBAR_EL1 + 0x280)", "-ex", "continue"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in debugger.stdout:
            if "Breakpoint 1, " in line:
                break
        with Remote(vm.socket) as second:
            assert second.socket.recv(100) == b"" # refused
        debugger.send_signal(signal.SIGKILL)
        debugger.wait()
        said = vm.gdb("info breakpoints", "stepi", "detach")
        assert "detached" in said, said
        assert "No breakpoints" in said, said
        assert "a second debugger is refused" in vm.text(vm.errors)


def test_protocol(memvisor, shell_initrd, tmp_path):
    with Vm(memvisor, shell_initrd, tmp_path, "-c", "2") as vm:
        vm.wait_for("/root #")
        with Remote(vm.socket) as remote:
            assert remote.ask(b"?").startswith(b"T05thread:1;")
            assert b"PacketSize=4000" in remote.ask(b"qSupported:multiprocess+")
            assert remote.ask(b"qfThreadInfo") == b"m1,2"
            assert remote.ask(b"qsThreadInfo") == b"l"
            assert remote.ask(b"vMustReplyEmpty") == b""
            # All registers, and one by one.
            everything = remote.ask(b"g")
            assert len(everything) == 2 * (33 * 8 + 4 + 32 * 16 + 8)
            assert remote.ask(b"p20") == everything[32 * 16:33 * 16]
            before = remote.ask(b"p5")
            assert remote.ask(b"P5=8877665544332211") == b"OK"
            assert remote.ask(b"p5") == b"8877665544332211"
            assert remote.ask(b"P5=" + before) == b"OK"
            assert remote.ask(b"G" + everything) == b"OK"
            assert remote.ask(b"g") == everything
            # Physical memory: what is written is read, and nothing is beyond RAM.
            assert remote.ask(b"Qqemu.PhyMemMode:1") == b"OK"
            kept = remote.ask(b"m8ff00000,8")
            assert remote.ask(b"M8ff00000,4:01020304") == b"OK"
            assert remote.ask(b"X8ff00004,3:a}\x03b") == b"OK"
            assert remote.ask(b"m8ff00000,7") == b"01020304" + b"a#b".hex().encode()
            assert remote.ask(b"M8ff00000,8:" + kept) == b"OK"
            assert remote.ask(b"m90000000,8").startswith(b"E")
            assert remote.ask(b"m8ffffffc,8").lower() == remote.ask(b"m8ffffffc,4").lower()
            assert remote.ask(b"Qqemu.PhyMemMode:0") == b"OK"
            assert remote.ask(b"m8ff00000,8").startswith(b"E") # not mapped there
            # The description comes in parts.
            whole = b""
            while True:
                part = remote.ask(b"qXfer:features:read:target.xml:%x,200" % len(whole))
                whole += part[1:]
                if part[:1] == b"l":
                    break
            assert whole.startswith(b"<?xml") and whole.rstrip().endswith(b"</target>")
            assert b'name="v31"' in whole and b'name="TTBR1_EL1"' in whole
            assert remote.ask(b"qXfer:features:read:other.xml:0,200") == b"E00"
            # A step, and a continue that Ctrl-C ends.
            assert remote.ask(b"vCont;s:1").startswith(b"T05thread:1;")
            remote.send(b"vCont;c")
            time.sleep(0.2)
            remote.socket.sendall(b"\x03")
            assert remote.receive().startswith(b"T02")


BAD_PACKETS = [
    b"", b"m", b"m,", b"m0", b"m0,", b"mzz,4", b"m0,ffffffffffffffff", b"mffffffffffffffff,10",
    b"m11111111111111111,4", b"M0,4:12", b"M0,4:zzzzzzzz", b"M0,4", b"X0,5:abc", b"X0", b"X",
    b"G12", b"Gzz", b"p", b"pffff", b"pffffffffffffffff", b"P", b"P1", b"P1=", b"P1=12",
    b"P44=0000000000000000", b"Z", b"Z0", b"Z0,0", b"Z9,0,4", b"Z2,0,0", b"z0", b"z9,1,1", b"H",
    b"Hg", b"Hgzz", b"Hg99", b"Hx1", b"T", b"T99", b"vCont", b"vCont;", b"vCont;x", b"vCont;c:99",
    b"vCont;C", b"vCont;s:", b"qXfer:features:read:target.xml:", b"qRcmd,", b"qRcmd,zz",
    b"qRcmd," + b"61" * 200, b"qThreadExtraInfo,99", b"v", b"q", b"Q", b"R00", b"\xff\xfe",
]


def test_bad_packets(memvisor, shell_initrd, tmp_path):
    """Each is answered, and the connection and the guest are as before."""
    with Vm(memvisor, shell_initrd, tmp_path) as vm:
        vm.wait_for("/root #")
        with Remote(vm.socket) as remote:
            registers = remote.ask(b"g")
            for packet in BAD_PACKETS:
                answer = remote.ask(packet)
                assert answer == b"" or answer[:1] in b"E" or packet.startswith((b"qRcmd", b"z")), \
                    (packet, answer)
            # A wrong sum is refused, noise between packets is not heard.
            remote.socket.sendall(b"$g#00")
            while remote.byte() != b"-":
                pass
            remote.socket.sendall(b"noise\xff\x00#12}")
            assert remote.ask(b"g") == registers
            # A packet without end is dropped as it grows, and told.
            remote.socket.sendall(b"$" + b"m" * 100000 + b"#00")
            while remote.byte() != b"-":
                pass
            assert remote.ask(b"m" * 20000) == b"E07"
            assert remote.ask(b"g") == registers
            # Points without number.
            for i in range(4096):
                assert remote.ask(b"Z0,%x,4" % (0x1000 + 4 * i)) == b"OK"
            assert remote.ask(b"Z0,9000000,4") == b"E07"
            assert remote.ask(b"D") == b"OK"
        for hurry in range(50):
            with Remote(vm.socket) as remote:
                remote.socket.sendall([b"$", b"$g", b"$g#", b"$g#6", b"\x03", b"$c#63"][hurry % 6])
        with Remote(vm.socket) as remote:
            assert remote.ask(b"?").startswith(b"T05")
            remote.send(b"k")
        assert vm.end() == 0


def test_addresses(memvisor, tmp_path, kernel):
    """A port, a wrong one, one that is taken, a path that is no socket."""
    for address, complaint in [
            ("nowhere", "'nowhere' is no port: give HOST:PORT"), (":99999", "is no port"),
            (":", "is no port"), ("no.such.host.invalid:1", "no address of 'no.such.host.invalid'"),
            (str(tmp_path), "is no socket"), (str(tmp_path / "no/such"), "No such file")]:
        result = memvisor.run("run", "-k", kernel, "--gdb", address)
        assert result.code == 1, result
        assert complaint in result.err and len(result.err.splitlines()) == 1, result
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    result = memvisor.run("run", "-k", kernel, "--gdb", ":%d" % taken.getsockname()[1])
    assert result.code == 1 and "cannot listen there: Address already in use" in result.err, result


def test_a_port(memvisor, shell_initrd, tmp_path):
    chooser = socket.socket()
    chooser.bind(("127.0.0.1", 0))
    port = chooser.getsockname()[1]
    chooser.close()
    argv = memvisor.boot_argv(shell_initrd, "-m", "256M", "--gdb", "localhost:%d" % port,
                              "--serial", "none", "--paused")
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                connection = socket.create_connection(("127.0.0.1", port), timeout=60)
                break
            except ConnectionRefusedError:
                time.sleep(0.1 * harness.SLOW)
        connection.sendall(b"$?#3f")
        assert connection.recv(10).startswith(b"+")
        connection.close()
    finally:
        process.kill()
        process.wait()
