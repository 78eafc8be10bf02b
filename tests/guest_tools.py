# SPDX-License-Identifier: Apache-2.0
"""The programs and the kernel module of guest/, built for the arm64 guest."""
import pathlib
import shutil
import subprocess

import harness

CROSS = "aarch64-linux-gnu-"
CFLAGS = "-std=gnu11 -O2 -pthread -Wall -Wextra -Werror -static".split()


def _run(command):
    made = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert made.returncode == 0, "%s\n%s%s" % (command, made.stdout, made.stderr)


def program(name, folder, compiler=CROSS + "gcc"):
    """The static program made of guest/NAME/*.c, in folder."""
    out = pathlib.Path(folder) / name
    if not out.exists():
        assert shutil.which(compiler), "%s is missing: run scripts/setup.sh check" % compiler
        _run([compiler, *CFLAGS, *sorted((harness.TOP / "guest" / name).glob("*.c")), "-o", out])
    return out


def module(name, folder):
    """The kernel module of guest/NAME (with - in the folder's name for _), in folder."""
    source = harness.TOP / "guest" / name.replace("_", "-")
    work = pathlib.Path(folder) / (name + ".build")
    out = work / (name + ".ko")
    if not out.exists():
        headers = harness.GUEST_FILES / "headers/build"
        assert headers.exists(), "%s is missing: run scripts/guest-headers.sh" % headers
        shutil.copytree(source, work)
        _run(["make", "-C", headers.resolve(), "M=%s" % work, "ARCH=arm64",
              "CROSS_COMPILE=" + CROSS, "modules"])
    return out
