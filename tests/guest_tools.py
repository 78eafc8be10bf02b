# SPDX-License-Identifier: Apache-2.0
"""The programs and the kernel module of guest/, built for the arm64 guest, or
for an x86-64 one."""
import pathlib
import shutil
import subprocess

import harness

CROSS = "aarch64-linux-gnu-"
CFLAGS = "-std=gnu11 -O2 -pthread -Wall -Wextra -Werror -static".split()


def _run(command):
    made = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert made.returncode == 0, "%s\n%s%s" % (command, made.stdout, made.stderr)


def program(name, folder, compiler=CROSS + "gcc", suffix="", flags=()):
    """The static program made of guest/NAME/*.c, in folder as NAME + suffix."""
    out = pathlib.Path(folder) / (name + suffix)
    if not out.exists():
        assert shutil.which(compiler), "%s is missing: run scripts/setup.sh check" % compiler
        _run([compiler, *CFLAGS, *flags, *sorted((harness.TOP / "guest" / name).glob("*.c")), "-o", out])
    return out


def module(name, folder, arch="arm64", cross=CROSS):
    """The kernel module of guest/NAME (with - in the folder's name for _), in
    folder; arch as the kernel's makefiles call it."""
    source = harness.TOP / "guest" / name.replace("_", "-")
    work = pathlib.Path(folder) / (name + ".build")
    out = work / (name + ".ko")
    if not out.exists():
        files = harness.GUEST_FILES / ("amd64" if arch == "x86" else "")
        headers = files / "headers/build"
        assert headers.exists(), "%s is missing: run scripts/guest-headers.sh" % headers
        shutil.copytree(source, work)
        _run(["make", "-C", headers.resolve(), "M=%s" % work, "ARCH=" + arch,
              "CROSS_COMPILE=" + cross, "modules"])
    return out
