# SPDX-License-Identifier: Apache-2.0
"""A small QMP client for the tests, and VMs in a run-time folder of their own."""
import json
import os
import pathlib
import socket
import struct
import subprocess
import time

import harness

# Guests that run for ever.  b . : always on a processor, for tests of one that is.
SPIN = struct.pack("<I", 0x14000000)
# wfi; b .-4 : needs none, which other tests have a use for.
IDLE = struct.pack("<II", 0xd503207f, 0x17ffffff)


def connect(path):
    """A socket is in its folder a moment before somebody listens at it."""
    end = time.monotonic() + 10 * harness.PATIENCE
    while True:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(60 * harness.PATIENCE)
        try:
            connection.connect(str(path))
            return connection
        except ConnectionRefusedError:
            connection.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


class Qmp:
    """One connection.  Events that come in between are kept in events."""

    def __init__(self, path, negotiate=True):
        self.socket = connect(path)
        self.file = self.socket.makefile("rb")
        self.events = []
        self.greeting = self.read()
        if negotiate:
            self.execute("qmp_capabilities")

    def read(self):
        """The next line, or None at the end."""
        line = self.file.readline()
        assert not line or line.endswith(b"\r\n"), line
        return json.loads(line) if line else None

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else json.dumps(data).encode())

    def answer(self):
        while True:
            line = self.read()
            assert line is not None, "the connection ended"
            if "event" not in line:
                return line
            self.events.append(line)

    def command(self, name, **arguments):
        """The whole answer, be it an error."""
        self.send({"execute": name,
                   "arguments": {key.replace("_", "-"): value for key, value in arguments.items()}})
        return self.answer()

    def execute(self, name, **arguments):
        answer = self.command(name, **arguments)
        assert "return" in answer, (name, answer)
        return answer["return"]

    def event(self, name):
        """The next event of this name; those before it are dropped."""
        while True:
            line = self.events.pop(0) if self.events else self.read()
            assert line is not None, "no event %s before the end" % name
            if line.get("event") == name:
                return line

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Vm:
    """memvisor in the background, its run-time folder below `folder`."""

    def __init__(self, memvisor, folder, *options, name="vm", boot=None, env=None, guest=IDLE):
        self.folder = pathlib.Path(folder)
        self.rundir = self.folder / "memvisor" / name
        self.env = dict(os.environ, XDG_RUNTIME_DIR=str(folder))
        self.memvisor = memvisor
        self.name = name
        if boot is None:
            image = self.folder / (name + ".bin")
            image.write_bytes(guest)
            boot = [memvisor.path, "run", "--firmware", image, "-m", "16M"]
        self.out = open(self.folder / (name + ".out"), "w+")
        self.process = subprocess.Popen(
            [str(word) for word in (*boot, "-n", name, *options)], stdin=subprocess.DEVNULL,
            stdout=self.out, stderr=subprocess.STDOUT, env=dict(self.env, **(env or {})))
        try:
            self.wait_for(lambda: (self.rundir / "qmp.sock").exists())
            words = [str(word) for word in boot]
            if "receive" in words and "defer" not in words:
                # It has a control socket before it awaits its sender.
                self.wait_for(lambda: "is awaited at" in self.output() or '"setup"' in self.output())
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def wait_for(self, condition, seconds=60):
        end = time.monotonic() + seconds * harness.PATIENCE
        while not condition():
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < end, self.output()
            time.sleep(0.02)

    def output(self):
        self.out.flush()
        return pathlib.Path(self.out.name).read_text(errors="replace")

    def qmp(self, **options):
        return Qmp(self.rundir / "qmp.sock", **options)

    def verb(self, *args, stdin=None):
        """Another memvisor, which sees the same run-time folder."""
        return harness.run([self.memvisor.path, *args], 30, stdin, env=self.env)

    def end(self):
        """Its exit status, once it has ended."""
        status = self.process.wait(30 * harness.PATIENCE)
        assert "Sanitizer" not in self.output(), self.output()
        return status

    def __enter__(self):
        return self

    def __exit__(self, kind=None, *_):
        ended = self.process.poll()
        if ended is None:
            self.process.terminate()
            try:
                self.process.wait(10 * harness.PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if kind is not None:
            print("%s, when the test failed: %s; it said:\n%s" % (
                self.name, "running" if ended is None else "ended with %d" % ended, self.output()))
        self.out.close()
