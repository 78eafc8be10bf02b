# SPDX-License-Identifier: Apache-2.0
"""The Debian packages: they know what the tree needs and installs, and `make deb` builds them."""
import fnmatch
import os
import re
import subprocess

import pytest

import harness
from test_install import MULTIARCH, WANTED, example

DEBIAN = harness.TOP / "packaging/debian"
# What build-essential has, or debhelper brings.
GIVEN = {"gcc", "libc6-dev", "make", "ninja-build"}


def packages():
    return re.findall(r"^Package: (\S+)$", (DEBIAN / "control").read_text(), re.M)


def test_build_needs_what_setup_installs():
    table = re.findall(r"^build \| (\S+)", (harness.TOP / "scripts/setup.sh").read_text(), re.M)
    wanted = re.search(r"^Build-Depends:\n((?: .*\n)+)", (DEBIAN / "control").read_text(), re.M)[1]
    assert {line.split()[0].strip(",") for line in wanted.splitlines()} - {"debhelper-compat"} == \
        set(table) - GIVEN


def test_versions_are_the_same():
    version = re.search(r"^project\(.*?, version: '(.*?)'", (harness.TOP / "meson.build").read_text())[1]
    assert (DEBIAN / "changelog").read_text().startswith("memvisor (%s) " % version)


def test_each_file_is_in_one_package():
    assert packages() == ["memvisor", "libmemvisor-ivshmem0", "libmemvisor-ivshmem-dev",
                          "memvisor-pacemaker"]
    lines = [(package, line) for package in packages()
             for line in (DEBIAN / (package + ".install")).read_text().split()]
    for name in WANTED:
        path = re.sub("^usr/(lib/systemd/)", r"\1", "usr/" + re.sub(
            r"^lib/(?=libmemvisor|pkgconfig)", "lib/triplet/", name))
        takers = [package for package, line in lines
                  if fnmatch.fnmatch(path, line) or path.startswith(line.rstrip("/") + "/")
                  or fnmatch.fnmatch(path, line + "/*")]
        assert len(takers) == 1, (path, takers)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The packages' paths, by name."""
    folder = tmp_path_factory.mktemp("deb")
    result = harness.run(["make", "-s", "-C", harness.TOP, "deb", "BUILD=%s" % folder], 1800)
    assert result.code == 0, result
    assert not re.search(r"^[EW]: ", result.out, re.M), result
    return {path.name.split("_")[0]: path for path in (folder / "deb").glob("*.deb")}


@pytest.mark.long
def test_packages_are_built_and_lintian_is_content(built):
    assert {name for name in built if not name.endswith("-dbgsym")} == set(packages())


@pytest.mark.long
def test_packages_install(built, tmp_path):
    """Into an empty root, without one's scripts seeing any other."""
    root = tmp_path / "root"
    (root / "var/lib/dpkg/info").mkdir(parents=True)
    (root / "var/lib/dpkg/updates").mkdir()
    (root / "var/lib/dpkg/status").touch()
    debs = [path for name, path in built.items() if not name.endswith("-dbgsym")]
    result = harness.run(["fakeroot", "dpkg", "--root=%s" % root, "--force-not-root", "--force-depends",
                          "--force-script-chrootless", "--force-bad-path", "--log=/dev/null", "-i", *debs])
    assert result.code == 0, result
    for name in WANTED:
        path = re.sub("^usr/(lib/systemd/)", r"\1", "usr/" + re.sub(
            r"^lib/(?=libmemvisor|pkgconfig)", "lib/%s/" % MULTIARCH, name))
        there = root / path
        assert there.exists() or there.with_name(there.name + ".gz").exists(), path
    said = harness.run([root / "usr/bin/memvisor", "--version"])
    assert said.code == 0 and said.out.startswith("memvisor "), said
    agent = harness.run([root / "usr/lib/ocf/resource.d/memvisor/guest", "meta-data"])
    assert agent.code == 0
    program = tmp_path / "example"
    subprocess.run(["cc", example(tmp_path), "-I", root / "usr/include", "-L",
                    root / "usr/lib" / MULTIARCH, "-lmemvisor-ivshmem", "-o", program], check=True)
    linked = harness.run(["ldd", program],
                         env=dict(os.environ, LD_LIBRARY_PATH=str(root / "usr/lib" / MULTIARCH)))
    assert re.search(r"libmemvisor-ivshmem\.so\.0 => %s" % re.escape(str(root)), linked.out), linked
