# SPDX-License-Identifier: Apache-2.0
"""What the host cannot give: each message provoked on the real thing, with what
it says to type, which is then typed where that changes nothing for others."""
import contextlib
import fcntl
import os
import pathlib
import re
import subprocess

import pytest

import harness
from memory_guest import build, huge_pages

# The host's free memory, its huge pages and how far it commits itself.
pytestmark = pytest.mark.alone

MIB = 1 << 20
LINE = r"memvisor: (warning: )?[^\n]+\n"


@pytest.fixture
def say(memvisor, binary):
    """say(option, ...): what memvisor writes to stderr while it makes this machine, which is
    then not run.  `wrap` is a command to run it with, `code` its exit status."""
    def run(*options, wrap=(), code=0):
        # Should it allocate what it must not, the host ends nothing else for that.
        first = ["sh", "-c", 'echo 1000 > /proc/self/oom_score_adj; exec "$@"', "sh"]
        result = harness.run([*first, *wrap, memvisor.path, "run", "--firmware", binary,
                              "--dump-dtb", "/dev/null", *options], 60)
        assert (result.code, result.out) == (code, ""), result
        assert re.fullmatch("(%s)*" % LINE, result.err), result
        return result.err
    return run


@pytest.fixture
def refuse(say):
    """The one line with which memvisor refuses the options."""
    def run(*options, wrap=()):
        words = say(*options, wrap=wrap, code=1)
        assert words.count("\n") == 1 and "warning" not in words, words
        return words
    return run


@pytest.fixture
def warn(say):
    """The one warning that there is of the options, "" for none."""
    def run(*options, wrap=()):
        words = say(*options, wrap=wrap)
        one = words.startswith("memvisor: warning: ") and words.count("\n") == 1
        assert one or words == "", words
        return words
    return run


def command(words, start):
    """What a message says to type, the command that starts so."""
    found = re.search(r"'(%s[^']*(?:'[^']*'[^']*)*?)'(?=[,:;]|\n)" % re.escape(start), words)
    assert found, "no '%s …' to type in: %s" % (start, words)
    return found[1]


# --- the host's memory and its cgroup's

def meminfo(name):
    found = re.search(r"^%s: +(\d+) kB" % name, pathlib.Path("/proc/meminfo").read_text(), re.M)
    return int(found[1]) // 1024


def host_mib():
    """MiB of memory and swap that this host can give, without the pool of huge pages."""
    memory = meminfo("MemTotal") - meminfo("Hugetlb")
    return memory, memory + meminfo("SwapTotal")


def test_more_than_the_host_has(warn, refuse):
    """All banks together, if lazy; those that are needed at once, else."""
    memory, whole = host_mib()
    half, most = whole // 2 + 64, whole + 64
    assert "block ram0: %d MiB, which the guest can come to use, is more than the" % most \
        in warn("-m", "%dM" % most)
    words = warn("-m", "%dM" % half, "-m", "%dM,memfd=on,id=top" % half)
    assert "blocks ram0, top: %d MiB" % (2 * half) in words and "file=" in words
    assert warn("-m", "64M") == ""
    assert "block ram0: prealloc=on: %d MiB is more than the" % most \
        in refuse("-m", "%dM,prealloc=on" % most, "-m", "64M")
    words = refuse("-m", "%dM,prealloc=on" % half, "-m", "64M", "-m", "%dM,prealloc=on" % half)
    assert "blocks ram0, ram2: prealloc=on: %d MiB" % (2 * half) in words
    assert "leave prealloc=on out" in words
    # What is locked cannot be swapped.
    words = refuse("-m", "%dM,lock=on" % (memory + 64))
    assert "lock=on: %d MiB is more than the" % (memory + 64) in words
    assert re.search("MiB of memory that this host has|cgroup may use", words)


def test_blocks_that_come_after_the_banks(warn, tmpfs):
    """A device's memory counts with theirs; what was told is not told again."""
    folder, wrap = tmpfs("1G")
    harness.run([*wrap, "truncate", "-s", "256M", folder / "shared"])
    _, whole = host_mib()
    device = ["--ivshmem", "mem=%s/shared,size=256M" % folder]
    words = warn("-m", "%dM" % (whole + 64), *device, wrap=wrap)
    assert words.startswith("memvisor: warning: block ram0: %d MiB, which" % (whole + 64))
    words = warn("-m", "%dM" % (whole - 64), *device, wrap=wrap)
    assert words.startswith("memvisor: warning: block pci/01.0/bar2: %d MiB with the blocks that "
                            "were there, which" % (whole + 192))


def test_files_that_are_memory_and_others(warn, tmp_path):
    """A file counts where its file system is memory, or the guest's copy of it is private."""
    _, whole = host_mib()
    most = "%dM" % (whole + 64)
    path = tmp_path / "ram"
    with open(path, "wb") as file:
        file.truncate((whole + 64) * MIB)
    kind = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True)
    if kind.stdout.strip() != "tmpfs":
        assert "guest can come to use" not in warn("-m", "%s,file=%s" % (most, path))
    assert "guest can come to use" in warn("-m", "%s,file=%s,share=off" % (most, path))


@contextlib.contextmanager
def small_cgroup(size):
    """A memory cgroup that allows `size`: what to run a command with, and its limit's file."""
    if os.geteuid() != 0:
        pytest.skip("making a cgroup needs root")
    v1, v2 = pathlib.Path("/sys/fs/cgroup/memory"), pathlib.Path("/sys/fs/cgroup")
    parent, limit = (v1, "memory.limit_in_bytes") if v1.is_dir() else (v2, "memory.max")
    group = parent / ("memvisor-test-%d" % os.getpid())
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip("no cgroup can be made here: %s" % error)
    try:
        if not (group / limit).exists():
            pytest.skip("cgroups here have no limit on memory: %s is missing" % (group / limit))
        (group / limit).write_text(str(size))
        yield (["sh", "-c", 'echo $$ > %s/cgroup.procs; exec "$@"' % group, "sh"], group / limit)
    finally:
        group.rmdir()


def test_more_than_the_cgroup_allows(warn, refuse):
    """And what the message says to type makes it go away."""
    with small_cgroup(96 * MIB) as (wrap, limit):
        assert warn("-m", "64M", wrap=wrap) == ""
        for options in (["-m", "256M"], ["-m", "64M", "-m", "64M"]):
            words = warn(*options, wrap=wrap)
            assert "more than the 96 MiB that memvisor's cgroup may use" in words
            assert str(limit) in words
        words = refuse("-m", "256M,lock=on", wrap=wrap)
        assert "lock=on: 256 MiB is more than the 96 MiB" in words
        words = refuse("-m", "64M,prealloc=on", "-m", "64M,memfd=on,prealloc=on", wrap=wrap)
        assert "blocks ram0, ram1: prealloc=on: 128 MiB is more than the 96 MiB" in words
        typed = subprocess.run(command(words, "echo "), shell=True, capture_output=True, text=True)
        assert typed.returncode == 0, typed
        assert warn("-m", "64M,prealloc=on", "-m", "64M,memfd=on,prealloc=on", wrap=wrap) == ""


# --- room for files

@pytest.fixture
def tmpfs(tmp_path):
    """tmpfs(size, folder): a small tmpfs in a mount namespace of its own.  Returns the folder
    and what to run a command with in that namespace."""
    keepers = []

    def mount(size, folder=None):
        folder = folder or tmp_path / "small"
        folder.mkdir(exist_ok=True)
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        keepers.append(subprocess.Popen(
            ["unshare", "--mount", *user, "sh", "-c",
             'mount -t tmpfs -o size=%s none "$1" && echo made && exec cat' % size, "sh", folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        said = keepers[-1].stdout.readline()
        if said != "made\n":
            pytest.skip("no file system of our own can be mounted here: %s" % said.strip())
        spaces = ["--mount"] if os.geteuid() == 0 else ["--user", "--preserve-credentials",
                                                        "--mount"]
        return folder, ["nsenter", *spaces, "-t", keepers[-1].pid, "--wd=/", "--"]
    yield mount
    for keeper in keepers:
        keeper.stdin.close()
        keeper.wait(10)
        keeper.stdout.close()


def type_in(words, start, wrap):
    """Type what a message says in a shell that `wrap` starts."""
    if os.geteuid() != 0:
        pytest.skip("what is to be typed as root is not, which is the rest of this test: %s"
                    % command(words, start))
    typed = harness.run([*wrap, "sh", "-c", command(words, start)])
    assert (typed.code, typed.err) == (0, ""), typed


def is_there(path, wrap):
    return harness.run([*wrap, "test", "-e", path]).code == 0


def test_file_that_a_tmpfs_has_no_room_for(say, refuse, tmpfs):
    """A fresh file is to fit, and is not left behind where it does not; what the message says
    to type makes room for it, and no more than that."""
    folder, wrap = tmpfs("32M")
    options = ["-m", "64M,file=%s/ram,create=on" % folder]
    words = refuse(*options, wrap=wrap)
    assert "block ram0: room for 64 MiB more is needed" in words
    assert "the file system at %s has 32 MiB left" % folder in words
    assert "'mount -o remount,size=64M %s'" % folder in words
    assert not is_there(folder / "ram", wrap)
    type_in(words, "mount -o", wrap)
    assert say(*options, wrap=wrap) == ""
    # Its pages are there now; a second one needs as many besides them.
    assert say("-m", "64M,file=%s/ram,prealloc=on" % folder, wrap=wrap) == ""
    words = refuse("-m", "16M,file=%s/more,create=on" % folder, wrap=wrap)
    assert "has 0 bytes left" in words and "size=80M" in words


def test_files_that_fit_one_by_one(say, refuse, tmpfs):
    folder, wrap = tmpfs("48M")
    options = [word for name in ("one", "two")
               for word in ("-m", "32M,file=%s/%s,create=on" % (folder, name))]
    words = refuse(*options, wrap=wrap)
    assert "blocks ram0, ram1: room for 64 MiB more is needed" in words
    assert not is_there(folder / "one", wrap)
    type_in(words, "mount -o", wrap)
    assert say(*options, wrap=wrap) == ""
    # Two blocks over one file need its room once.
    words = refuse("-m", "32M,id=a", "-m", "64M,file=%s/new,create=on,same-file=ok" % folder, "-m",
                   "64M,file=%s/new,create=on,same-file=ok" % folder, wrap=wrap)
    assert "room for 64 MiB more is needed" in words


def test_sparse_file_on_a_small_tmpfs(say, warn, refuse, tmpfs):
    """Somebody made it sparse, so that it may stay so: a warning, until its pages are wanted."""
    folder, wrap = tmpfs("32M")
    harness.run([*wrap, "truncate", "-s", "64M", folder / "ram"])
    bank = "64M,file=%s/ram" % folder
    words = warn("-m", bank, wrap=wrap)
    assert "block ram0: room for 64 MiB more can come to be needed" in words
    words = refuse("-m", bank + ",prealloc=on", wrap=wrap)
    # All but the pages that hold the guest's program by now.
    assert re.search("block ram0: room for 65[45][0-9]{2} KiB more is needed", words), words
    # A private file is never written.
    assert warn("-m", bank + ",share=off", wrap=wrap) == ""
    type_in(words, "mount -o", wrap)
    assert say("-m", bank + ",prealloc=on", wrap=wrap) == ""


def test_descriptor_of_a_file_without_a_name(refuse, tmpfs):
    folder, wrap = tmpfs("32M")
    opens = 'truncate -s 64M "$0"; exec 7<>"$0"; rm "$0"; exec "$@"'
    words = refuse("-m", "64M,fd=7,prealloc=on",
                   wrap=[*wrap, "bash", "-c", opens, folder / "ram"])
    assert "the file system at %s has" % folder in words
    assert "remount,size=64M %s'" % folder in words


def test_unnamed_files_and_memfds(say, refuse, tmpfs):
    """Unnamed files stand in /dev/shm unless a folder is named, and take its room; a memfd
    does not, although it is a file of a tmpfs as well."""
    shm, wrap = tmpfs("32M", pathlib.Path("/dev/shm"))
    wrap = [*wrap, "env", "-u", "TMPDIR", "-u", "MEMVISOR_MEM_DIR"]
    for options in (["-m", "64M", "--mem-dir", shm], ["-m", "64M,share=on"]):
        words = refuse(*options, wrap=wrap)
        assert "block ram0: room for 64 MiB more is needed" in words
        assert "the file system at /dev/shm has 32 MiB left" in words
        assert "remount,size=64M /dev/shm'" in words
    assert say("-m", "64M,memfd=on,prealloc=on", wrap=wrap) == ""
    type_in(words, "mount -o", wrap)
    assert say("-m", "64M,prealloc=on", "--mem-dir", shm, wrap=wrap) == ""
    assert say("-m", "64M,prealloc=on,share=on", wrap=wrap) == ""


def remounted(tmpfs, options):
    """A tmpfs with an empty file, and then other options."""
    folder, wrap = tmpfs("64M")
    harness.run([*wrap, "truncate", "-s", "32M", folder / "ram"])
    typed = harness.run([*wrap, "mount", "-o", "remount," + options, folder])
    assert typed.code == 0, typed
    return folder, wrap


def test_read_only_file_system(say, refuse, tmpfs):
    """chmod would not help there."""
    folder, wrap = remounted(tmpfs, "ro")
    bank = "32M,file=%s/ram" % folder
    words = refuse("-m", bank, wrap=wrap)
    assert "file '%s/ram': the file system at %s is read-only: write share=off" % (
        folder, folder) in words and "chmod" not in words
    assert say("-m", bank + ",share=off", wrap=wrap) == ""
    fresh = ["-m", "16M,file=%s/new,create=on" % folder]
    assert "cannot create file '%s/new': the file system at %s is read-only" % (
        folder, folder) in refuse(*fresh, wrap=wrap)
    unnamed = ["-m", "16M,share=on", "--mem-dir", folder]
    assert "is read-only: name another folder with --mem-dir" in refuse(*unnamed, wrap=wrap)
    type_in(words, "mount -o", wrap)
    for options in (["-m", bank], fresh, unnamed):
        assert say(*options, wrap=wrap) == ""


def test_small_and_read_only(say, refuse, tmpfs):
    """One command mends both."""
    folder, wrap = remounted(tmpfs, "ro,size=16M")
    options = ["-m", "32M,file=%s/new,create=on" % folder]
    words = refuse(*options, wrap=wrap)
    assert "remount,rw,size=32M" in words
    type_in(words, "mount -o", wrap)
    assert say(*options, wrap=wrap) == ""


def test_mount_within_a_file_system(say, refuse, tmpfs, tmp_path):
    """A folder that is mounted at another place of the same file system is the one to name."""
    folder, wrap = tmpfs("64M")
    script = 'mkdir "$0/in" "$0/at"; mount --bind "$0/in" "$0/at"; mount -o remount,bind,ro "$0/at"'
    typed = harness.run([*wrap, "sh", "-c", script, folder])
    assert typed.code == 0, typed
    options = ["-m", "32M,file=%s/at/new,create=on" % folder]
    words = refuse(*options, wrap=wrap)
    assert "the file system at %s/at is read-only" % folder in words
    type_in(words, "mount -o", wrap)
    assert say(*options, wrap=wrap) == ""


def test_mount_point_that_needs_quotes(say, refuse, tmpfs, tmp_path):
    folder, wrap = tmpfs("32M", tmp_path / "a place $HOME")
    options = ["-m", "64M,file=%s/ram,create=on" % folder]
    words = refuse(*options, wrap=wrap)
    type_in(words, "mount -o", wrap)
    assert say(*options, wrap=wrap) == ""


def test_disk_that_is_too_small(warn, refuse, tmp_path):
    """Where no mount option helps, how much there is to free."""
    disk = os.statvfs(tmp_path)
    blocks = disk.f_bfree if os.geteuid() == 0 else disk.f_bavail
    size = blocks * disk.f_frsize // MIB + 1024
    path = tmp_path / "ram"
    words = refuse("-m", "%dM,file=%s,create=on" % (size, path))
    assert "block ram0: room for " in words and not path.exists()
    kind = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True)
    if kind.stdout.strip() != "tmpfs":
        free = re.search(r"free (\d+) (MiB|GiB) there, or keep the file elsewhere", words)
        # Others use the disk meanwhile.
        assert 512 <= int(free[1]) * (1 if free[2] == "MiB" else 1024) <= 1536, words
    with open(path, "wb") as file:
        file.truncate(size * MIB)
    assert "can come to be needed" in warn("-m", "%dM,file=%s" % (size, path))
    assert "more is needed" in refuse("-m", "%dM,file=%s,prealloc=on" % (size, path))


# --- the pool of huge pages

def test_pool_of_huge_pages(say, refuse):
    """An empty pool, and then one that is as large as the message said: it is a page too small
    for one bank more."""
    with huge_pages(2 * MIB) as pool:
        there, left = pool.count(), pool.left()
        more = left + 8
        first, second = "%dM,hugetlb=2M" % (2 * more - 2), "2M,hugetlb=2M,id=top"
        words = refuse("-m", first, "-m", second)
        assert "blocks ram0, top: %d huge pages of 2 MiB are needed, and %d are left" % (
            more, left) in words
        assert command(words, "sysctl") == "sysctl vm.nr_hugepages=%d" % (there + 8)
        type_in(words, "sysctl", [])
        if pool.left() < more:
            pytest.skip("the host has no %d huge pages to give" % more)
        assert say("-m", first, "-m", second) == ""
        assert "%d huge pages of 2 MiB are needed, and %d are left" % (more + 1, more) \
            in refuse("-m", first, "-m", second, "-m", second.replace("top", "peak"))


def test_pool_of_larger_huge_pages(refuse):
    """sysctl is about pages of the default size alone."""
    with huge_pages(1024 * MIB) as pool:
        there, left = pool.count(), pool.left()
        words = refuse("-m", "%dG,hugetlb=1G" % (left + 2))
        assert "block ram0: %d huge pages of 1 GiB are needed, and %d are left" % (
            left + 2, left) in words
        if meminfo("Hugepagesize") != 1024:
            assert command(words, "echo") == "echo %d > %s/nr_hugepages" % (there + 2, pool.folder)


@contextlib.contextmanager
def hugetlb_cgroup(size):
    """A cgroup that allows so many bytes of huge pages of 2 MiB: what to run with, and the file."""
    if os.geteuid() != 0:
        pytest.skip("making a cgroup needs root")
    mounts = [line.split() for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
    v1 = [mount[1] for mount in mounts if mount[2] == "cgroup" and "hugetlb" in mount[3].split(",")]
    v2 = [mount[1] for mount in mounts if mount[2] == "cgroup2"]
    for parent, limit in [(p, "hugetlb.2MB.limit_in_bytes") for p in v1] + \
            [(p, "hugetlb.2MB.max") for p in v2]:
        group = pathlib.Path(parent) / ("memvisor-test-%d" % os.getpid())
        try:
            if limit.endswith("max"):
                (group.parent / "cgroup.subtree_control").write_text("+hugetlb")
            group.mkdir()
        except OSError:
            continue
        try:
            if (group / limit).exists():
                (group / limit).write_text(str(size))
                yield (["sh", "-c", 'echo $$ > %s/cgroup.procs; exec "$@"' % group, "sh"],
                       group / limit)
                return
        finally:
            group.rmdir()
    pytest.skip("there is no cgroup with a limit on huge pages to be had here")


def test_cgroup_that_allows_few_huge_pages(say, refuse):
    """It is named by its file, and not as the pool, which has enough."""
    with hugetlb_cgroup(4 * MIB) as (wrap, limit), huge_pages(2 * MIB) as pool:
        pathlib.Path(pool.folder, "nr_hugepages").write_text(str(pool.count() + 16))
        if pool.left() < 8:
            pytest.skip("the host has no 8 huge pages to give")
        assert say("-m", "4M,hugetlb=2M", wrap=wrap) == ""
        words = refuse("-m", "4M,hugetlb=2M", "-m", "6M,hugetlb=2M", wrap=wrap)
        assert "blocks ram0, ram1: huge pages for 10 MiB are needed, and memvisor's cgroup may " \
            "have 4 MiB of them, of which 0 bytes are taken" in words
        assert command(words, "echo ") == "echo 10M > %s" % limit
        type_in(words, "echo ", [])
        assert say("-m", "4M,hugetlb=2M", "-m", "6M,hugetlb=2M", wrap=wrap) == ""


def test_file_of_huge_pages(say, refuse, tmp_path):
    """A file of a hugetlbfs, whose pages are asked for when it is mapped."""
    if os.geteuid() != 0:
        pytest.skip("mounting a hugetlbfs needs root")
    wrap = ["unshare", "--mount", "sh", "-c",
            'mount -t hugetlbfs -o pagesize=2M none "$0" && exec "$@"', tmp_path]
    with huge_pages(2 * MIB) as pool:
        left = pool.left()
        more = left + 4
        options = ["-m", "%dM,file=%s/ram,create=on" % (2 * more, tmp_path)]
        words = refuse(*options, wrap=wrap)
        assert "the host does not map %d MiB: %d huge pages of 2 MiB are needed, and %d are " \
            "left" % (2 * more, more, left) in words
        type_in(words, "sysctl", [])
        if pool.left() < more:
            pytest.skip("the host has no %d huge pages to give" % more)
        assert say(*options, wrap=wrap) == ""
        private = options[-1].replace("create=on", "share=off")
        wrap = ["unshare", "--mount", "sh", "-c", 'mount -t hugetlbfs -o pagesize=2M none "$0" && '
                'fallocate -l %dM "$0/ram" && exec "$@"' % (2 * more), tmp_path]
        assert "the host does not map %d MiB: %d huge pages of 2 MiB are needed, and 0 are " \
            "left" % (2 * more, more) in refuse("-m", private, wrap=wrap)


@pytest.mark.parametrize("size", ["2M", "1G"])
def test_no_multiple_of_the_huge_page(refuse, size):
    with huge_pages(2 * MIB if size == "2M" else 1024 * MIB):
        words = refuse("-m", "3M,hugetlb=%s" % size)
    assert "block ram0: hugetlb has pages of %s, and 3 MiB is no multiple of that: make it %s" % (
        {"2M": ("2 MiB", "4 MiB"), "1G": ("1 GiB", "1 GiB")}[size]) in words


# --- limits of the process

def limited(limits, then=""):
    """A shell with soft limits, in which what was said may be typed before memvisor starts."""
    return ["bash", "-c", '%s; %s; exec "$@"' % (limits, then or ":"), "sh"]


def needs_no_more(memvisor, what, wrap=()):
    """A sanitizer's build takes terabytes of address space for itself."""
    if subprocess.run([*wrap, memvisor.path, "engines"], capture_output=True).returncode != 0:
        pytest.skip("a sanitizer's build cannot run with " + what)


@pytest.mark.parametrize("option, of, long_option", [
    ("v", "address space", "as"), ("d", "private memory", "data")])
def test_limits_on_mappings(say, refuse, memvisor, option, of, long_option):
    limits = "ulimit -S -%s 1000000" % option
    needs_no_more(memvisor, limits, limited(limits))
    words = refuse("-m", "1G", wrap=limited(limits))
    assert "block ram0: the host does not map 1 GiB: this process has " in words
    assert " of %s already, and its limit is 976 MiB: " % of in words
    assert command(words, "ulimit") == "ulimit -%s unlimited" % option
    assert command(words, "prlimit") == "prlimit -p $$ --%s=unlimited" % long_option
    assert say("-m", "1G", wrap=limited(limits, command(words, "ulimit"))) == ""
    if os.geteuid() == 0:
        assert say("-m", "1G", wrap=limited(limits, command(words, "prlimit"))) == ""


def test_limit_on_private_memory_is_none_on_shared(say, memvisor):
    limits = "ulimit -S -d 1000000"
    needs_no_more(memvisor, limits, limited(limits))
    assert say("-m", "1G,memfd=on", wrap=limited(limits)) == ""


@pytest.mark.parametrize("hard, start", [(4096, "ulimit"), (64, "prlimit")])
def test_too_few_descriptors(say, refuse, hard, start):
    """Each vCPU has some; what is to be typed depends on the hard limit."""
    limits = "ulimit -S -n 64; ulimit -H -n %d" % hard
    words = refuse("-m", "16M", "-c", "64", wrap=limited(limits))
    assert "Too many open files: the limit is 64" in words and "ulimit -n" in words
    if start == "prlimit" and harness.run(limited(limits, command(words, start)) + ["true"]).err:
        pytest.skip("no process here may raise its hard limit, which is the rest of this test")
    assert say("-m", "16M", "-c", "64", wrap=limited(limits, command(words, start))) == ""


@pytest.mark.parametrize("keys, what", [
    ("file={}/ram,create=on", "file '{}/ram'"), ("memfd=on", "the memfd"),
    ("share=on", "the unnamed file")])
def test_limit_on_files(say, refuse, tmp_path, keys, what):
    """Which comes as a signal (setrlimit(2), RLIMIT_FSIZE) that must not end memvisor."""
    limits, bank = "ulimit -S -f 1024", "16M," + keys.format(tmp_path)
    words = refuse("-m", bank, wrap=limited(limits))
    assert "block ram0: %s cannot have 16 MiB, the limit of this process is 1 MiB for a file" \
        % what.format(tmp_path) in words
    assert list(tmp_path.iterdir()) == []
    assert say("-m", bank, wrap=limited(limits, command(words, "ulimit"))) == ""


def test_limit_on_locked_memory(say, refuse):
    """All banks together, those in files among them."""
    lose = ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"] \
        if os.geteuid() == 0 else []
    limits = "ulimit -S -l 4096"
    options = ["-m", "3M,lock=on", "-m", "2M,memfd=on,lock=on", "-m", "16M"]
    words = refuse(*options, wrap=[*limited(limits), *lose])
    assert "lock=on: 5 MiB cannot be locked, the limit of this user is 4 MiB" in words
    assert command(words, "ulimit") == "ulimit -l 5120"
    if os.geteuid() == 0 or harness.run(["bash", "-c", "ulimit -l 5120"]).code == 0:
        assert say(*options, wrap=[*limited(limits, command(words, "ulimit")), *lose]) == ""


@pytest.mark.parametrize("letter, option, options", [
    ("v", "as", ["-m", "1G"]), ("d", "data", ["-m", "1G"]), ("f", "fsize", ["-m", "16M,memfd=on"])])
def test_hard_limits(say, refuse, memvisor, letter, option, options):
    """A remedy stays below the hard limit, and where that is too low root's is the only one."""
    low, enough = (1024, 65536) if letter == "f" else (1000000, 4000000)
    limits = "ulimit -S -%s %d; ulimit -H -%s %%d" % (letter, low, letter)
    if letter != "f":
        needs_no_more(memvisor, limits % low, limited(limits % low))
    words = refuse(*options, wrap=limited(limits % enough))
    typed = command(words, "prlimit" if letter == "f" else "ulimit")
    assert "unlimited" not in typed
    assert say(*options, wrap=limited(limits % enough, typed)) == ""
    words = refuse(*options, wrap=limited(limits % low))
    assert "ulimit -%s goes no further: type as root 'prlimit -p $$ --%s=unlimited'" % (
        letter, option) in words


def test_hard_limit_on_locked_memory(refuse):
    lose = ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"] \
        if os.geteuid() == 0 else []
    words = refuse("-m", "5M,lock=on", wrap=[*limited("ulimit -l 4096"), *lose])
    assert "ulimit -l goes no further: type as root 'prlimit -p $$ --memlock=unlimited'" in words


# --- what the kernel lets itself promise

@contextlib.contextmanager
def no_overcommit():
    """Mode 2 with a limit that no other program here comes near to."""
    sysctl = pathlib.Path("/proc/sys/vm")
    mode, ratio = sysctl / "overcommit_memory", sysctl / "overcommit_ratio"
    alone = open(mode)
    fcntl.flock(alone, fcntl.LOCK_EX)
    before = mode.read_text(), ratio.read_text()
    if before[0].strip() != "2" and int(before[1]) == 0:
        pytest.skip("vm.overcommit_kbytes is set here, and would be lost")
    try:
        ratio.write_text("%d\n" % (100 * (1 << 20) // meminfo("MemTotal"))) # 1 TiB
        mode.write_text("2\n")
    except OSError as error:
        pytest.skip("setting vm.overcommit_memory needs root: %s" % error)
    try:
        yield
    finally:
        mode.write_text(before[0])
        ratio.write_text(before[1])
        alone.close()


def test_overcommit_mode_2(say, memvisor):
    limit = r"of the \d+ (MiB|GiB|TiB) that the host lets itself promise \d+ MiB are taken"
    with no_overcommit():
        needs_no_more(memvisor, "vm.overcommit_memory=2")
        refused = say("-m", "2T", code=1).splitlines()
        taken = say("-m", "2T,memfd=on")
    assert refused[0].startswith("memvisor: warning: ") and len(refused) == 2
    assert "block ram0: the host does not map 2 TiB: vm.overcommit_memory is 2" in refused[1]
    assert re.search(limit, refused[1])
    assert "'sysctl vm.overcommit_memory=0', or keep the bytes in a file on a disk (file=)" \
        in refused[1]
    assert "is more than the" in taken
    # With what it says to type, or as a file.
    assert "warning" in say("-m", "2T")
