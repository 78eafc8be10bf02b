# SPDX-License-Identifier: Apache-2.0
"""What a refusal says to type is typed, and then the machine starts and no byte is lost.

What the host has to be asked for (limits, pools, mounts) is in test_limits.py.
"""
import hashlib
import os
import re
import subprocess

import pytest

import harness

MIB = 1 << 20

# name: the files that there are (size), the options, and what to take of the message: either a
# command for a shell, or a substitution in the options, as (what is there, what to put there);
# \1 is what the expression found.
CASES = {
    "a file that is missing": (
        {}, ["-m", "16M,file={}/ram"], r"(truncate -s 16M \S+)(?=,)", None),
    "a file to be made": (
        {}, ["-m", "16M,file={}/ram"], r"or write (create=on)", ("ram$", r"ram,\1")),
    "a name with quotes": (
        {}, ["-m", "16M,file={}/it's $HOME"], r"(truncate -s 16M .*)(?=, or)", None),
    "a shorter file": (
        {"ram": 8}, ["-m", "16M,file={}/ram"], r"(truncate -s 16M \S+)", None),
    "a longer file": (
        {"ram": 32}, ["-m", "16M,file={}/ram"], r"say -m (32M)", ("16M", r"\1")),
    "a longer file, in part": (
        {"ram": 32}, ["-m", "16M,file={}/ram"], r"(offset=0) to take", ("ram$", r"ram,\1")),
    "a longer file of a device": (
        {"ram": 32}, ["-m", "16M", "--ivshmem", "mem={}/ram,size=16M"], r"(size=32M) of a dev",
        ("size=16M", r"\1")),
    "a part behind the end": (
        {"ram": 16}, ["-m", "16M,file={}/ram,offset=8M"], r"(truncate -s 24M \S+)(?=,)", None),
    "an offset within a page": (
        {"ram": 32}, ["-m", "16M,file={}/ram,offset=5000"], r"make it (0x1000)", ("5000", r"\1")),
    "one file twice": (
        {"ram": 16}, ["-m", "16M,file={}/ram", "-m", "16M,file={}/ram"], r"both (same-file=ok)",
        ("ram$", r"ram,\1")),
    "parts that overlap": (
        {"ram": 32}, ["-m", "16M,file={}/ram,offset=0", "-m", "16M,file={}/ram,offset=8M"],
        r"both (same-file=ok)", ("ram", r"ram,\1")),
    "an ambiguous address": (
        {}, ["-m", "16M@4294967296"], r"write (0x100000000) for 4294967296 bytes",
        ("4294967296", r"\1")),
    "a suffix for it": (
        {}, ["-m", "16M@4096"], r"such as (4096M) for MiB", ("4096", r"\1")),
    "a bank on a device": (
        {}, ["-m", "16M@0x1000000"], r"such as from (0x80000000) up", ("0x1000000", r"\1")),
    "no power of two": (
        {}, ["-m", "16M", "--ivshmem", "mem={}/x,size=3M,create=on"], r"such as (size=64M)",
        ("size=3M", r"\1")),
    "a policy without nodes": (
        {}, ["-m", "16M,policy=bind"], r"add (host-nodes=0)", ("bind$", r"bind,\1")),
    "nodes without a policy": (
        {}, ["-m", "16M,host-nodes=0"], r"add (policy=bind)", ("nodes=0$", r"nodes=0,\1")),
    "too little for the binary": (
        {}, ["-m", "16K"], r"such as -m (\w+)", ("16K", r"\1")),
    "a slot that is none": (
        {}, ["-m", "16M", "--device", "edu,addr=33"], r"such as (addr=03\.0)", ("addr=33", r"\1")),
    "a misspelt key": (
        {}, ["-m", "16M,prealoc=on"], r"did you mean (prealloc)", ("prealoc", r"\1")),
    "a misspelt option": (
        {}, ["-m", "16M", "--seral", "none"], r"did you mean (--serial)", ("--seral", r"\1")),
    "a switch that is none": (
        {}, ["-m", "16M,prealloc=yes"], r"write (prealloc=on)", ("prealloc=yes", r"\1")),
}


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(b"\x00\x00\x00\x14")
    return path


def start(memvisor, image, options):
    return memvisor.run("run", "--firmware", image, "--dump-dtb", "/dev/null", *options)


def checksum(path, size):
    """Of the last of `size` MiB."""
    return hashlib.sha256(path.read_bytes()[:size * MIB][-4096:]).hexdigest()


@pytest.mark.parametrize("name", CASES)
def test_remedy(memvisor, image, tmp_path, name):
    files, options, pattern, substitution = CASES[name]
    folder = tmp_path / "files"
    folder.mkdir()
    for file, size in files.items():
        (folder / file).write_bytes(bytes(size * MIB - 4096) + os.urandom(4096))
    before = {file: checksum(folder / file, size) for file, size in files.items()}
    options = [option.replace("{}", str(folder)) for option in options]
    refused = start(memvisor, image, options)
    assert refused.code in (1, 2) and refused.err.count("\n") == 1, refused
    found = re.search(pattern, refused.err)
    assert found, "no '%s' in: %s" % (pattern, refused.err)
    if substitution is None:
        typed = harness.run(["bash", "-c", found[1]])
        assert (typed.code, typed.err) == (0, ""), typed
    else:
        options = [re.sub(substitution[0], found.expand(substitution[1]), option)
                   for option in options]
    started = start(memvisor, image, options)
    assert (started.code, started.err) == (0, ""), (found[0], options, started)
    for file, size in files.items():
        # The binary was loaded into what comes before.
        assert checksum(folder / file, size) == before[file], "%s: bytes are lost" % file


@pytest.mark.parametrize("remedy", ["share=off", "chmod"])
def test_file_that_cannot_be_written(memvisor, image, tmp_path, remedy):
    """As a user, to whom permissions mean something."""
    path = tmp_path / "ram"
    path.write_bytes(bytes(16 * MIB))
    os.chmod(path, 0o400)
    user = []
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
        for folder in (tmp_path, *tmp_path.parents):
            if not os.stat(folder).st_mode & 1:
                os.chmod(folder, os.stat(folder).st_mode | 0o111)
        image.chmod(0o444)
        user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

    def run(bank):
        return harness.run([*user, memvisor.path, "run", "--firmware", image, "--dump-dtb",
                            "/dev/null", "-m", bank])
    bank = "16M,file=%s" % path
    refused = run(bank)
    if "Permission denied" in refused.err and "file '" not in refused.err:
        pytest.skip("another user cannot run this memvisor: %s" % refused.err.strip())
    assert refused.code == 1 and remedy in refused.err, refused
    if remedy == "chmod":
        typed = harness.run([*user, "bash", "-c", re.search(r"(chmod u\+w .*)", refused.err)[1]])
        assert typed.code == 0, typed
    else:
        bank += ",share=off"
    assert run(bank).code == 0


def test_process_that_is_stopped(memvisor, image, tmp_path):
    """kill -CONT, as the verb says."""
    from qmp import Vm
    with Vm(memvisor, tmp_path, name="vm") as vm:
        os.kill(vm.process.pid, 19)
        refused = vm.verb("stop", "vm")
        typed = re.search(r"'(kill -CONT \d+)'", refused.err)[1]
        subprocess.run(typed, shell=True, check=True)
        assert vm.verb("stop", "vm").code == 0
