# SPDX-License-Identifier: Apache-2.0
"""NBD servers for the tests (nbdkit, qemu-nbd), which can be killed and started again."""
import shutil
import subprocess
import time

import harness


class Server:
    """Serves a file at a Unix socket until the `with` is left.  options are its flags, and nbdkit's
    KEY=VALUE words."""

    def __init__(self, file, socket, *options, program="nbdkit"):
        self.file, self.socket = file, socket
        self.program, self.options = program, options
        self.uri = "nbd+unix:///?socket=%s" % socket
        self.process = None

    def argv(self):
        if self.program == "qemu-nbd":
            return ["qemu-nbd", "-f", "raw", "-k", self.socket, "--persistent", *self.options,
                    self.file]
        flags = [word for word in self.options if word.startswith("-")]
        words = [word for word in self.options if not word.startswith("-")]
        return ["nbdkit", "-f", "-U", self.socket, *flags, "file", self.file, *words]

    def start(self):
        assert shutil.which(self.program), \
            "%s is missing: run scripts/setup.sh check" % self.program
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen([str(word) for word in self.argv()])
        end = time.monotonic() + 30 * harness.SLOW
        while not harness.listens(self.socket):
            assert self.process.poll() is None and time.monotonic() < end, "no server"
            time.sleep(0.02)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def revive(self):
        """nbdkit may end over a client that is lost (raw_send_socket: Assertion `sock >= 0')."""
        if self.process.poll() is not None:
            self.start()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()
