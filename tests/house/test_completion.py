# SPDX-License-Identifier: Apache-2.0
"""Bash completion, in a bash on a terminal, as a user has it."""
import os
import subprocess

import pytest

import harness

COMPLETION = harness.TOP / "data/completion/memvisor"
# Ctrl-A and "# " keep the line from being run; what stands on it is the answer.
SHOW = "\x01# \r"


@pytest.fixture
def bash(tmp_path):
    (tmp_path / "my kernel").write_text("")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "vmlinuz").write_text("")
    (tmp_path / "mem.img").write_text("")
    dead = subprocess.run(["sh", "-c", "echo $$"], stdout=subprocess.PIPE, text=True).stdout
    # "aldous" is dead, and its number is another process's now.
    files = []
    for name, pid, lives in (("alpha", os.getpid(), True), ("beta two", os.getpid(), True),
                             ("albert", dead, False), ("aldous", os.getpid(), False),
                             ("alice", None, False)):
        folder = tmp_path / "run/memvisor" / name
        folder.mkdir(parents=True)
        if pid:
            (folder / "pid").write_text("%s\n" % pid)
        if lives:
            files.append(open(folder / "pid"))
    shell = harness.spawn("bash", ["--norc", "--noprofile", "-i"], cwd=str(tmp_path),
                          env={"PATH": "/usr/bin:/bin", "TERM": "dumb", "PS1": "> ",
                               "INPUTRC": "/dev/null", "HISTFILE": "/dev/null",
                               "XDG_RUNTIME_DIR": str(tmp_path / "run")},
                          encoding="utf-8", timeout=60 * harness.PATIENCE, dimensions=(50, 200))
    shell.sendline("bind 'set bell-style none'; bind 'set enable-bracketed-paste off'")
    shell.expect("> ")
    shell.sendline("PS1='ready''> '; set -o history; source %s" % COMPLETION)
    shell.expect("ready> ")
    yield shell
    shell.close(force=True)
    for file in files:
        file.close()


def completed(bash, line):
    """What the line becomes when Tab is pressed behind it."""
    bash.send(line + "\t")
    bash.send(SHOW)
    bash.expect("ready> ")
    bash.sendline("fc -ln -1")
    bash.expect(r"\t ?# ([^\r\n]*)\r\n")
    answer = bash.match.group(1)
    bash.expect("ready> ")
    return answer


def offered(bash, line):
    """The words that a second Tab lists."""
    bash.send(line + "\t\t")
    bash.expect(r"\r\n(.*)\r\nready> ")
    words = set(bash.match.group(1).split())
    bash.send("\x03")
    bash.expect("ready> ")
    return words


@pytest.mark.parametrize("line, expected", [
    ("memvisor ru", "memvisor run "),
    ("memvisor rest", "memvisor restore "),
    ("memvisor rec", "memvisor receive "),
    ("memvisor receive de", "memvisor receive defer "),
    ("memvisor receive unix:im", "memvisor receive unix:images/"),
    ("memvisor receive --tls ps", "memvisor receive --tls psk="),
    ("memvisor receive tcp: --ins", "memvisor receive tcp: --insecure "),
    ("memvisor receive tcp: -m 256M,fi", "memvisor receive tcp: -m 256M,file="),
    ("memvisor se", "memvisor send "),
    ("memvisor send be", r"memvisor send beta\ two "),
    ("memvisor send alpha un", "memvisor send alpha unix:"),
    ("memvisor send alpha unix: --comp", "memvisor send alpha unix: --compress "),
    ("memvisor send alpha unix: --compress z", "memvisor send alpha unix: --compress zstd "),
    ("memvisor send alpha --tls x509=im", "memvisor send alpha --tls x509=images/"),
    ("memvisor fo", "memvisor fork "),
    ("memvisor fork --sha", "memvisor fork --share "),
    ("memvisor fork --share k", "memvisor fork --share keep "),
    ("memvisor inf", "memvisor info "),
    ("memvisor info im", "memvisor info images/"),
    ("memvisor info mem.img --di", "memvisor info mem.img --diff "),
    ("memvisor info mem.img --diff me", "memvisor info mem.img --diff mem.img "),
    ("memvisor restore im", "memvisor restore images/"),
    ("memvisor restore --ram c", "memvisor restore --ram copy "),
    ("memvisor restore mem.img --ra", "memvisor restore mem.img --ram "),
    ("memvisor restore mem.img -m 256M,fi", "memvisor restore mem.img -m 256M,file="),
    ("memvisor sa", "memvisor save "),
    ("memvisor save be", r"memvisor save beta\ two "),
    ("memvisor save alpha im", "memvisor save alpha images/"),
    ("memvisor save alpha x --st", "memvisor save alpha x --stop "),
    ("memvisor --v", "memvisor --version "),
    ("memvisor help eng", "memvisor help engines "),
    ("memvisor engines --j", "memvisor engines --json "),
    ("memvisor run --ker", "memvisor run --kernel "),
    ("memvisor run -k im", "memvisor run -k images/"),
    ("memvisor run --ivshmem im", "memvisor run --ivshmem images/"),
    ("memvisor run -k images/", "memvisor run -k images/vmlinuz "),
    ("memvisor run -k my", r"memvisor run -k my\ kernel "),
    ("memvisor run --kernel=my", r"memvisor run --kernel=my\ kernel "),
    ("memvisor run -m 256M@8G --eng", "memvisor run -m 256M@8G --engine "),
    ("memvisor run --pcram-file my", r"memvisor run --pcram-file my\ kernel "),
    ("memvisor run --mem-dir im", "memvisor run --mem-dir images/"),
    ("memvisor run --mem-dir my", "memvisor run --mem-dir my"),
    ("memvisor run --back ram0=my", r"memvisor run --back ram0=my\ kernel "),
    ("memvisor run --back ram0=im", "memvisor run --back ram0=images/"),
    ("memvisor run --engine e", "memvisor run --engine emulator "),
    ("memvisor run --engine=e", "memvisor run --engine=emulator "),
    ("memvisor run --machine ", "memvisor run --machine arm64 "),
    ("memvisor run --serial f", "memvisor run --serial file:"),
    ("memvisor run --serial file:im", "memvisor run --serial file:images/"),
    ("memvisor run --serial=unix:im", "memvisor run --serial=unix:images/"),
    ("memvisor run -c ", "memvisor run -c "),
    ("memvisor run -m 256M,po", "memvisor run -m 256M,policy="),
    ("memvisor run -m 256M,merge=on,prea", "memvisor run -m 256M,merge=on,prealloc=on "),
    ("memvisor run -m 256M", "memvisor run -m 256M"),
    ("memvisor run --qmp im", "memvisor run --qmp images/"),
    ("memvisor stop al", "memvisor stop alpha "),
    ("memvisor quit alpha be", r"memvisor quit alpha beta\ two "),
    ("memvisor qmp alpha query-st", "memvisor qmp alpha query-status "),
    ("memvisor ivshmem-server im", "memvisor ivshmem-server images/"),
    ("memvisor ivshmem-server s --si", "memvisor ivshmem-server s --size "),
    ("memvisor ivshmem-server s --mem me", "memvisor ivshmem-server s --mem memfd "),
    ("memvisor ivshmem-client im", "memvisor ivshmem-client images/"),
    ("memvisor ivshmem-client s ri", "memvisor ivshmem-client s ring "),
    ("memvisor ps --j", "memvisor ps --json "),
    ("memvisor run --no-reboot --pa", "memvisor run --no-reboot --paused "),
    # No - that nobody typed.
    ("memvisor run ", "memvisor run "),
    ("memvisor -", "memvisor --"),
    ("memvisor run -c 2 ", "memvisor run -c 2 "),
    ("memvisor ps ", "memvisor ps "),
    ("memvisor engines ", "memvisor engines "),
    ("memvisor ivshmem-client s ring ", "memvisor ivshmem-client s ring "),
    # Files in the place of a key's value.
    ("memvisor run -m 256M,file=im", "memvisor run -m 256M,file=images/"),
    ("memvisor run -m 256M@8G,share=on,file=images/", "memvisor run -m 256M@8G,share=on,file=images/vmlinuz "),
    ("memvisor run --mem=256M,file=my", r"memvisor run --mem=256M,file=my\ kernel "),
    ("memvisor run --ivshmem mem=mem", "memvisor run --ivshmem mem=mem.img "),
    ("memvisor run --ivshmem 1,unix:im", "memvisor run --ivshmem 1,unix:images/"),
    ("memvisor qmp alpha pmemsave val=0 size=1 filename=im", "memvisor qmp alpha pmemsave val=0 size=1 filename=images/"),
    ("memvisor ivshmem-server s --mem file:im", "memvisor ivshmem-server s --mem file:images/"),
    # Keys, and their values.
    ("memvisor run -m 256M,fi", "memvisor run -m 256M,file="),
    ("memvisor run -m 256M,file=mem.img,sh", "memvisor run -m 256M,file=mem.img,share="),
    ("memvisor run -m 256M,share=of", "memvisor run -m 256M,share=off "),
    ("memvisor run -m 256M,policy=b", "memvisor run -m 256M,policy=bind "),
    ("memvisor run --back ram0=mem.img,sav", "memvisor run --back ram0=mem.img,save="),
    ("memvisor run --ivshmem mem-", "memvisor run --ivshmem mem-id="),
    ("memvisor run --ivshmem mem=mem.img,si", "memvisor run --ivshmem mem=mem.img,size="),
    ("memvisor run --ivshmem /tmp/s.sock,ve", "memvisor run --ivshmem /tmp/s.sock,vectors="),
    ("memvisor run --ivshmem=/tmp/s.sock,ve", "memvisor run --ivshmem=/tmp/s.sock,vectors="),
    ("memvisor run --device pcie-root-port,ch", "memvisor run --device pcie-root-port,chassis="),
    # Machines that live.
    ("memvisor mem a", "memvisor mem alpha "),
    ("memvisor stop b", r"memvisor stop beta\ two "),
    ("memvisor cont ali", "memvisor cont ali"),
])
def test_completes(bash, line, expected):
    assert completed(bash, line) == expected


def test_lists_verbs_and_values(bash):
    assert offered(bash, "memvisor ") == {
        "run", "restore", "info", "fork", "ps", "mem", "stop", "cont", "quit", "qmp", "save", "send", "receive",
        "ivshmem-server", "ivshmem-client",
        "engines", "help", "version"}
    assert offered(bash, "memvisor run --serial ") == {"stdio", "none", "file:", "unix:"}
    assert offered(bash, "memvisor run --engine ") == {"auto", "emulator"}
