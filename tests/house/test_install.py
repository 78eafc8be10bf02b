# SPDX-License-Identifier: Apache-2.0
"""`make install` puts the program, its man pages and its completion in place, and the
library where a compiler, pkg-config and the loader find it."""
import os
import pathlib
import re
import subprocess
import time

import pytest

import harness

MULTIARCH = subprocess.run(["cc", "-print-multiarch"], stdout=subprocess.PIPE, text=True,
                           check=True).stdout.strip()
MAKE = ["make", "-s", "-C", harness.TOP]

WANTED = {
    "bin/memvisor",
    "lib/systemd/system/memvisor@.service",
    "lib/systemd/system/memvisor-ivshmem@.service",
    "lib/systemd/system/memvisor-ivshmem@.socket",
    "share/man/man1/memvisor.1",
    "share/man/man1/memvisor-ivshmem-client.1",
    "share/man/man1/memvisor-ivshmem-server.1",
    "share/man/man3/libmemvisor-ivshmem.3",
    "share/man/man5/memvisor@.service.5",
    "share/man/man7/ocf_memvisor_guest.7",
    "lib/ocf/resource.d/memvisor/guest",
    "share/doc/memvisor/examples/guest.conf",
    "include/memvisor-ivshmem.h",
    "lib/libmemvisor-ivshmem.a",
    "lib/libmemvisor-ivshmem.so",
    "lib/libmemvisor-ivshmem.so.0",
    "lib/libmemvisor-ivshmem.so.0.1.0",
    "lib/pkgconfig/libmemvisor-ivshmem.pc",
    "share/man/man1/memvisor-fork.1",
    "share/man/man1/memvisor-qmp.1",
    "share/man/man1/memvisor-info.1",
    "share/man/man1/memvisor-restore.1",
    "share/man/man1/memvisor-run.1",
    "share/man/man1/memvisor-save.1",
    "share/bash-completion/completions/memvisor",
}


def install(memvisor, folder):
    """`make install` below folder; returns its prefix there, and paths below that."""
    build = os.path.relpath(memvisor.path.parent, harness.TOP)
    result = harness.run([*MAKE, "install", "BUILD=" + build, "DESTDIR=%s" % folder], timeout=300)
    assert result.code == 0, result
    assert "Running custom install script" not in result.out, "no ldconfig here: %s" % result
    installed = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    prefix = {str(path).split("/bin/")[0] for path in installed if path.name == "memvisor"
              and path.parent.name == "bin"}
    assert len(prefix) == 1, installed
    prefix = prefix.pop()
    # Pacemaker's folder is no other below /usr/local.
    names = {re.sub("^usr/(?=lib/ocf/)", prefix + "/", str(path)) for path in installed}
    return folder / prefix, {str(pathlib.Path(name).relative_to(prefix)) for name in names}


def test_install(memvisor, tmp_path):
    _, names = install(memvisor, tmp_path)
    library = "lib/%s/" % MULTIARCH if MULTIARCH else "lib/"
    assert {re.sub("^" + library, "lib/", name) for name in names} == WANTED
    assert not [name for name in names if "libmemvisor-ivshmem." in name
                and not name.startswith((library, "share/man"))]


def test_library_folder_is_debians_without_dpkg_dev(tmp_path):
    """Meson alone asks dpkg-architecture, and takes lib64 where that is missing."""
    for flags, at in ([], "--libdir=lib/" + MULTIARCH), (["SETUP_FLAGS=--libdir=/x"], "--libdir=/x"):
        words = harness.run([*MAKE, "-n", "build", "BUILD=%s" % tmp_path, *flags]).out
        assert re.findall(r"meson setup.*(--libdir=\S+)", words) == ([at] if MULTIARCH or flags else [])


def example(folder):
    """The program of the manual page, compiled with what $@ says."""
    page = (harness.TOP / "docs/man/libmemvisor-ivshmem.3").read_text()
    text = re.search(r"^\.Bd -literal\n(#include <memvisor-ivshmem\.h>.*?)^\.Ed", page, re.M | re.S)
    source = folder / "example.c"
    source.write_text(text.group(1).replace("\\e", "\\"))
    return source


def wait_until(condition):
    end = time.monotonic() + 60 * harness.PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def counts_up(memvisor, folder, program, env=None):
    """Runs the example among peers: the first waits for the ring, and counts up when it comes."""
    sock = folder / "sock"
    server = subprocess.Popen([memvisor.path, "ivshmem-server", sock, "--size", "1M"])
    try:
        wait_until(sock.exists)
        peer = subprocess.Popen([program, sock], stdout=subprocess.PIPE, text=True,
                                env=dict(os.environ, **(env or {})))
        try:
            wait_until(lambda: "peers    1 of" in memvisor.run(
                "ivshmem-server", sock, "--status").out)
            rung = memvisor.run("ivshmem-client", sock, "ring", "all", "0")
            assert rung.code == 0, rung
            out, _ = peer.communicate(timeout=60 * harness.PATIENCE)
        finally:
            peer.kill()
            peer.wait()
        assert (peer.returncode, out) == (0, "0: 1\n")
    finally:
        server.terminate()
        server.wait()


def compile_example(folder, env=None):
    program = folder / "example"
    flags = harness.run(["pkg-config", "--cflags", "--libs", "libmemvisor-ivshmem"], env=env)
    assert flags.code == 0, flags
    made = harness.run(["cc", "-Wall", example(folder), "-o", program, *flags.out.split()])
    assert made.code == 0, made
    return program


def test_example_below_a_folder(memvisor, tmp_path):
    prefix, _ = install(memvisor, tmp_path / "root")
    library = prefix / "lib" / MULTIARCH
    program = compile_example(tmp_path, {"PKG_CONFIG_LIBDIR": str(library / "pkgconfig"),
                                         "PKG_CONFIG_SYSROOT_DIR": str(tmp_path / "root")})
    counts_up(memvisor, tmp_path, program, {"LD_LIBRARY_PATH": str(library)})


@pytest.mark.skipif(not os.environ.get("MEMVISOR_INSTALLED"),
                    reason="installs into the system: run by .ci/run in its fresh root")
def test_example_after_make_install(memvisor, tmp_path):
    """Without a word on where the library is."""
    counts_up(memvisor, tmp_path, compile_example(tmp_path))
