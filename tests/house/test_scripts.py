# SPDX-License-Identifier: Apache-2.0
"""setup.sh and guest-files.sh where they cannot do their work: without apt, root,
sudo or network.  Each run sees a PATH of stubs, so that it can ask for anything
and change nothing."""
import os
import pathlib
import re
import shutil

import pytest

import harness

SCRIPTS = harness.TOP / "scripts"
# What the scripts may take for granted on any Linux.
BASICS = """awk basename bash cat chmod cp cpio dd dirname env find flock grep gzip head id install
ls ln mkdir mktemp mv rm sed sort tail touch tr""".split()
# What setup.sh takes to be there when each of its kind is.
GUEST_FILES = """vmlinuz headers/build amd64/vmlinuz amd64/headers/build newer/vmlinuz
userland/bin/bash qemu/ivshmem-server""".split()


@pytest.fixture
def world(tmp_path):
    """A PATH with BASICS and whatever stubs the test adds."""
    return World(tmp_path)


class World:
    def __init__(self, folder):
        self.folder = folder
        self.bin = folder / "bin"
        self.log = folder / "log"
        self.bin.mkdir()
        for tool in BASICS:
            path = shutil.which(tool)
            assert path, "%s is missing" % tool
            (self.bin / tool).symlink_to(path)

    def stub(self, name, body="exit 0"):
        """A command that logs its words and then does body."""
        path = self.bin / name
        if path.is_symlink():
            path.unlink()
        path.write_text("#!/bin/bash\necho %s \"$@\" >>%s\n%s\n" % (name, self.log, body))
        path.chmod(0o755)

    def calls(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    def run(self, script, *args, **env):
        env = dict({"PATH": str(self.bin), "CC": "", "MEMVISOR_LONG": "",
                    "MEMVISOR_GUEST_FILES": str(self.folder / "guest")}, **env)
        return harness.run([SCRIPTS / script, *args], env=env)


    def have_guest_files(self):
        for name in GUEST_FILES:
            path = self.folder / "guest" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def have_mirror(self):
        """What to pass for a machine whose apt knows a mirror of Debian's."""
        etc = self.folder / "apt"
        etc.mkdir()
        (etc / "sources.list").write_text("deb http://mirror.example/debian bookworm main\n")
        return {"MEMVISOR_APT_ETC": str(etc)}


def words_of(text):
    return set(text.split())


def test_setup_refuses_an_unknown_purpose(world):
    result = world.run("setup.sh", "dance")
    assert result.code == 2
    assert result.err == "setup.sh: dance is no purpose: it is one of build, run, check, bench, deb\n"


def test_setup_without_dpkg_names_what_is_missing(world):
    world.stub("gcc")
    world.stub("make")
    result = world.run("setup.sh", "build")
    assert result.code == 1
    assert "Install by hand" in result.err
    assert {"meson", "ninja-build", "libfdt-dev"} <= words_of(result.err)
    assert not {"gcc", "make"} & words_of(result.err)


def test_setup_without_dpkg_goes_on_when_all_is_there(world):
    for tool in ("cc", "make", "meson", "ninja", "pkg-config"):
        world.stub(tool)
    result = world.run("setup.sh", "build")
    assert (result.code, result.out, result.err) == (0, "", "")


INSTALLED = "echo -n installed"


def test_setup_does_nothing_when_packages_are_there(world):
    world.stub("dpkg-query", INSTALLED)
    world.stub("apt-get")
    world.stub("sudo")
    world.have_guest_files()
    for purpose in ("build", "run", "check", "bench"):
        result = world.run("setup.sh", purpose)
        assert (result.code, result.out, result.err) == (0, "", ""), result
    assert not [call for call in world.calls() if not call.startswith("dpkg-query")]


def test_setup_installs_only_what_is_missing(world):
    world.stub("dpkg-query", '[[ "$*" == *meson* ]] || ' + INSTALLED)
    world.stub("apt-get", 'echo "frontend $DEBIAN_FRONTEND" >>%s' % world.log)
    world.stub("id", "echo 0")
    result = world.run("setup.sh", "build")
    assert result.code == 0, result
    assert "installing for build: meson" in result.out
    calls = [call for call in world.calls() if not call.startswith(("dpkg-query", "id"))]
    assert [call for call in calls if call.startswith("apt-get")] == [
        "apt-get -q update",
        "apt-get -q -y -o Debug::NoLocking=1 --no-install-recommends --print-uris install meson",
        "apt-get -q -y --no-install-recommends install meson"]
    assert "frontend noninteractive" in calls


def test_setup_uses_sudo_when_not_root(world):
    world.stub("dpkg-query", '[[ "$*" == *meson* ]] || ' + INSTALLED)
    world.stub("apt-get")
    world.stub("id", "echo 1000")
    world.stub("sudo", 'while [[ $1 == -* ]]; do shift; done; exec "$@"')
    world.stub("true")
    result = world.run("setup.sh", "build")
    assert result.code == 0, result
    assert any("sudo env" in call and call.endswith("install meson") for call in world.calls())


def test_setup_without_root_and_sudo_says_what_to_install(world):
    world.stub("dpkg-query", '[[ "$*" == *meson* ]] || ' + INSTALLED)
    world.stub("apt-get")
    world.stub("id", "echo 1000")
    result = world.run("setup.sh", "build")
    assert result.code == 1
    assert "no sudo" in result.err
    assert "  apt-get install meson\n" in result.err
    assert not [call for call in world.calls() if call.startswith("apt-get")]


def test_setup_without_network_says_what_to_install(world):
    world.stub("dpkg-query", "exit 1")
    world.stub("apt-get", "echo 'E: Unable to locate package'; exit 100")
    world.stub("id", "echo 0")
    result = world.run("setup.sh", "run")
    assert result.code == 1
    assert "no network?" in result.err
    assert re.search(r"^  apt-get install .*\bninja-build\b.*\bcpio\b", result.err, re.M), result


# What apt-get says of a plan, in LC_ALL=C.
PLAN = """case "$*" in
*--print-uris*) echo 'The following NEW packages will be installed:'
    echo '0 upgraded, 12 newly installed, 0 to remove and 3 not upgraded.'
    echo 'Need to get 12.3 MB/1,234 MB of archives.'
    echo 'After this operation, 5,678 GB of additional disk space will be used.' ;;
esac"""


def test_setup_says_first_what_it_will_install(world):
    world.stub("dpkg-query", '[[ "$*" == *mandoc* ]] || ' + INSTALLED)
    world.stub("apt-get", PLAN.replace("5,678 GB", "56.7 MB"))
    world.stub("id", "echo 0")
    world.have_guest_files()
    (world.folder / "guest/userland/bin/bash").unlink()
    world.stub("apt-cache")
    world.stub("dpkg-deb")
    result = world.run("setup.sh", "check", **world.have_mirror())
    assert result.code == 0, result
    lines = result.out.splitlines()
    begin = lines.index("== installing for check: mandoc")
    assert lines[begin + 1:begin + 4] == [
        "   0 upgraded, 12 newly installed, 0 to remove and 3 not upgraded.",
        "   Need to get 12.3 MB/1,234 MB of archives.",
        "   After this operation, 56.7 MB of additional disk space will be used."]
    assert re.match(r"== about \d+ MiB of guest files are fetched next", lines[begin + 4])
    assert re.match(r"== then all is built and tested: about \d+ minutes", lines[begin + 5])
    assert lines[begin + 6] == "== apt-get install"


def test_setup_tells_all_problems_at_once(world):
    """No root, mirrors that do not answer, a full disk: three lines, nothing installed."""
    world.stub("dpkg-query", '[[ "$*" == *mandoc* ]] || ' + INSTALLED)
    world.stub("apt-get", "exit 100")
    world.stub("apt-cache")
    world.stub("dpkg-deb")
    world.stub("dpkg", "echo amd64")
    world.stub("id", "echo 1000")
    world.stub("df", "echo head; echo /dev/root 100 90 $((10 << 10)) 90% /")
    result = world.run("setup.sh", "check", **world.have_mirror())
    assert result.code == 1
    problems = re.findall("^- (.*)", result.err, re.M)
    assert len(problems) == 3, result
    assert "no sudo" in problems[0] and "\n  apt-get install mandoc\n" in result.err
    assert problems[1].startswith("Debian's mirrors do not answer (no network?), so these guest files")
    assert words_of(problems[1]) >= set(GUEST_FILES)
    assert re.fullmatch(r"the disk at / has 10 MiB left, and \d+ MiB are needed: make room there",
                        problems[2])
    assert not [call for call in world.calls() if call.startswith("apt-get") and "install" in call]


def test_setup_counts_the_packages_room(world):
    """Everything that shares a disk counts together."""
    world.stub("dpkg-query", '[[ "$*" == *mandoc* ]] || ' + INSTALLED)
    world.stub("apt-get", PLAN)
    world.stub("id", "echo 0")
    world.stub("df", "echo head; echo /dev/root 100 90 $((10 << 20)) 90% /")
    result = world.run("setup.sh", "build")
    assert result.code == 0, result
    world.have_guest_files()
    result = world.run("setup.sh", "check")
    assert result.code == 1
    told = re.search(r"^- the disk at / has 10240 MiB left, and (\d+) MiB are needed", result.err, re.M)
    assert told and 5678012 <= int(told.group(1)) < 5681000, result
    assert world.calls()[-1] != "apt-get -q -y --no-install-recommends install mandoc"


@pytest.mark.parametrize("goal, purpose", [
    ("all", "build"), ("run", "run"), ("check", "check"), ("check-long", "check"), ("bench", "bench"),
    ("demo-ivshmem", "check"), ("guest-files", "run"), ("install", "build")])
def test_a_goals_own_setup_comes_first(tmp_path, goal, purpose):
    """So that what is in its way is told before anything is fetched or built."""
    plan = harness.run(["make", "-n", "-C", harness.TOP, "BUILD=%s" % tmp_path, goal])
    done = re.findall(r"scripts/setup\.sh \w+|scripts/guest-\S+|meson setup|ninja -C", plan.out)
    assert done[0] == "scripts/setup.sh " + purpose, plan
    assert "ninja -C" in done or goal == "guest-files"


def test_setup_wants_a_python_with_pytest(world):
    """Debian's packages are there, and the python3 is another."""
    world.stub("dpkg-query", INSTALLED)
    world.have_guest_files()
    scripts = world.folder / "tree/scripts"
    shutil.copytree(SCRIPTS, scripts)
    common = scripts / "common.sh"
    common.write_text(common.read_text().replace("/usr/bin/python3", "/no/python3"))
    world.stub("python3", "exit 1")
    env = {"PATH": str(world.bin), "MEMVISOR_GUEST_FILES": str(world.folder / "guest")}
    result = harness.run([scripts / "setup.sh", "check"], env=env)
    assert result.code == 1
    assert "- no python3 here sees the modules pytest, pexpect and xdist" in result.err

    # Packages that are not installed are not called broken as well.
    world.stub("dpkg-query", '[[ "$*" == *pytest* ]] || ' + INSTALLED)
    world.stub("id", "echo 1000")
    result = harness.run([scripts / "setup.sh", "check"], env=env)
    assert result.err.count("\n- ") == 1 and "apt-get is missing" in result.err, result
    world.stub("dpkg-query", INSTALLED)
    world.stub("python3")
    assert harness.run([scripts / "setup.sh", "check"], env=env).code == 0


def test_guest_files_that_are_there_need_nothing(world):
    guest = world.folder / "guest"
    guest.mkdir()
    for name in ("vmlinuz", "busybox", "initrd.cpio"):
        (guest / name).write_text("here already")
    result = world.run("guest-files.sh")
    assert (result.code, result.out, result.err) == (0, "", "")


def test_guest_files_without_apt_say_what_to_put_where(world):
    result = world.run("guest-files.sh")
    assert result.code == 1
    assert "apt-get is missing" in result.err
    guest = str(world.folder / "guest")
    assert guest + "/vmlinuz" in result.err and guest + "/busybox" in result.err
    assert leftovers(world) == []


def test_guest_files_without_network_leave_nothing_behind(world):
    world.stub("apt-get", "echo 'E: Temporary failure resolving'; exit 100")
    world.stub("apt-cache")
    world.stub("dpkg-deb")
    result = world.run("guest-files.sh")
    assert result.code == 1
    assert "no network?" in result.err
    assert "Temporary failure resolving" in result.err
    assert leftovers(world) == []


def test_guest_files_refuse_a_folder_they_cannot_write(world):
    (world.folder / "guest").write_text("a file")
    result = world.run("guest-files.sh")
    assert result.code == 1
    assert result.err.startswith("guest-files.sh: cannot write to ")


def leftovers(world):
    guest = world.folder / "guest"
    return sorted(path.name for path in guest.iterdir() if path.name != ".lock")


SOURCES = {
    "sources.list": """
# deb http://commented.example/debian bookworm main
deb http://mirror.example/debian/ bookworm main contrib # a comment
deb-src http://sources.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/other.gpg] http://signed.example/debian bookworm main
deb https://download.docker.example/linux/debian bookworm stable
deb https://packages.vendor.example/debian/12/prod bookworm main
""",
    "sources.list.d/debian.sources": """
Types: deb deb-src
URIs: http://deb822.example/debian
# a comment inside
Suites: bookworm
 bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb822.example/debian-security
Suites: bookworm-security
Components: main non-free-firmware
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm
Components: main
""",
}


def test_guest_files_take_the_mirrors_of_the_host(world):
    etc = world.folder / "apt"
    (etc / "sources.list.d").mkdir(parents=True)
    for name, text in SOURCES.items():
        (etc / name).write_text(text)
    world.stub("apt-get", """
while [ "$1" != -c ]; do shift; done
cat "$(dirname "$2")"/sources.d/* >>%s.sources
exit 100""" % world.log)
    world.stub("apt-cache")
    world.stub("dpkg-deb")
    world.run("guest-files.sh", MEMVISOR_APT_ETC=str(etc))

    asked = pathlib.Path(str(world.log) + ".sources").read_text()
    stanzas = [dict(line.split(": ", 1) for line in stanza.splitlines())
               for stanza in asked.strip().split("\n\n")]
    suites = {stanza["URIs"]: (stanza["Suites"], stanza["Signed-By"]) for stanza in stanzas}
    debian = "/usr/share/keyrings/debian-archive-keyring.gpg"
    assert suites == {
        "http://mirror.example/debian/": ("bookworm bookworm-updates", debian),
        "http://signed.example/debian": (
            "bookworm bookworm-updates", "/usr/share/keyrings/other.gpg"),
        "http://deb822.example/debian": ("bookworm bookworm-updates", debian),
        "http://deb822.example/debian-security": ("bookworm-security", debian),
    }


def test_guest_files_without_a_mirror(world):
    etc = world.folder / "apt"
    etc.mkdir()
    for name in ("apt-get", "apt-cache", "dpkg-deb"):
        world.stub(name)
    result = world.run("guest-files.sh", MEMVISOR_APT_ETC=str(etc))
    assert result.code == 1
    assert "no Debian mirror stands in" in result.err


def test_initramfs_names_a_missing_file(world):
    guest = world.folder / "guest"
    guest.mkdir()
    (guest / "busybox").write_text("a program")
    init = world.folder / "init"
    init.write_text("#!/bin/sh\n")
    result = world.run("initramfs.sh", str(world.folder / "out"), str(init), "/no/such:/x")
    assert result.code == 1
    assert result.err == "initramfs.sh: /no/such: no such file\n"
    assert not os.path.exists(world.folder / "out")
