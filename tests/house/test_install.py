# SPDX-License-Identifier: Apache-2.0
"""`make install` puts the program, its man pages and its completion in place."""
import re

import harness

WANTED = {
    "bin/memvisor",
    "lib/systemd/system/memvisor-ivshmem@.service",
    "lib/systemd/system/memvisor-ivshmem@.socket",
    "share/man/man1/memvisor.1",
    "share/man/man1/memvisor-ivshmem-client.1",
    "share/man/man1/memvisor-ivshmem-server.1",
    "share/man/man3/libmemvisor-ivshmem.3",
    "include/memvisor-ivshmem.h",
    "lib/libmemvisor-ivshmem.a",
    "lib/libmemvisor-ivshmem.so",
    "lib/libmemvisor-ivshmem.so.0",
    "lib/libmemvisor-ivshmem.so.0.1.0",
    "lib/pkgconfig/libmemvisor-ivshmem.pc",
    "share/man/man1/memvisor-qmp.1",
    "share/man/man1/memvisor-run.1",
    "share/bash-completion/completions/memvisor",
}


def test_install(memvisor, tmp_path):
    result = harness.run(["meson", "install", "-C", memvisor.path.parent, "--no-rebuild",
                          "--destdir", tmp_path], timeout=60)
    assert result.code == 0, result
    installed = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    prefix = {str(path).split("/bin/")[0] for path in installed if path.name == "memvisor"
              and path.parent.name == "bin"}
    assert len(prefix) == 1, installed
    prefix = prefix.pop()
    # Debian's library folder is one of the processor's kind.
    names = {re.sub("^lib/[a-z0-9_]+-linux-gnu/", "lib/", str(path.relative_to(prefix)))
             for path in installed}
    assert names == WANTED
