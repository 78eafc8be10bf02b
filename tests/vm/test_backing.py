# SPDX-License-Identifier: Apache-2.0
"""Where a bank's bytes live: files, memfds, descriptors, as other processes
and the host's kernel see them, and what is refused."""
import fcntl
import hashlib
import mmap
import os
import re
import subprocess

import pytest

from memory_guest import huge_pages

MIB = 1 << 20
F_SEAL_FUTURE_WRITE = 0x10  # fcntl(2)
TEXT = b"written by the guest"


@pytest.fixture
def refuse(memvisor, binary):
    """The one line that memvisor says of these options."""
    def run(*options, code=1, wrap=()):
        result = memvisor.run("run", "--firmware", binary, *options)
        assert (result.code, result.out) == (code, ""), result
        assert re.fullmatch(r"memvisor: [^\n]+\n", result.err), result
        return result.err
    return run


def make_file(path, size=16 * MIB):
    with open(path, "wb") as file:
        file.truncate(size)
    return path


def text_at(path, offset):
    with open(path, "rb") as file:
        return os.pread(file.fileno(), len(TEXT), offset)


def test_file_has_what_the_guest_writes(guest, tmp_path):
    """While it runs, and with what another process writes."""
    ram = make_file(tmp_path / "ram.img")
    with guest("-m", "16M,file=%s" % ram) as vm:
        at = vm.free
        vm.do("t", at, TEXT.decode())
        assert text_at(ram, at - vm.ram) == TEXT
        with open(ram, "r+b") as file, mmap.mmap(file.fileno(), 0) as shared:
            shared[at - vm.ram:at - vm.ram + 8] = (0x1234567890abcdef).to_bytes(8, "little")
            assert vm.do("r", at) == 0x1234567890abcdef
        vm.do("w", at, 5)
        assert vm.end() == 0
    assert ram.read_bytes()[at - vm.ram:][:8] == (5).to_bytes(8, "little")
    assert os.stat(ram).st_size == 16 * MIB


@pytest.mark.parametrize("options", [
    ["-m", "16M", "--pcram-file", "{}"],
    ["-m", "16M", "--back", "ram0={}"],
    ["-m", "16M,id=first", "-m", "16M", "--back", "first={},share=on"],
    ["-m", "16M,file={},create=on"],
    ["-m", "16M", "--back", "ram0={},create=on"],
])
def test_spellings_of_a_file(guest, tmp_path, options):
    ram = tmp_path / "ram,x.img"
    if not any("create=on" in word for word in options):
        make_file(ram)
    words = [w.format(str(ram) if "pcram" in options[2] else str(ram).replace(",", ",,"))
             for w in options] if len(options) > 2 else \
            [w.format(str(ram).replace(",", ",,")) for w in options]
    with guest(*words) as vm:
        vm.do("t", vm.free, TEXT.decode())
        assert text_at(ram, vm.free - vm.ram) == TEXT
        assert vm.end() == 0
    assert os.stat(ram).st_size == 16 * MIB


def test_pcram_file_is_the_first_bank_given(guest, tmp_path):
    ram = make_file(tmp_path / "ram.img")
    with guest("-m", "16M@8G", "-m", "16M@2G", "--pcram-file", ram) as vm:
        vm.do("t", 8 << 30, TEXT.decode())
        assert text_at(ram, 0) == TEXT


def test_private_file_is_never_written(guest, tmp_path):
    """Ten guests on one image of 256 MiB, the first 16 of which are no zeros."""
    image = make_file(tmp_path / "image", 256 * MIB)
    with open(image, "r+b") as file:
        file.write(os.urandom(16 * MIB))

    def checksum():
        with open(image, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    before = checksum()
    os.chmod(image, 0o400)
    guests = []
    try:
        for i in range(10):
            guests.append(guest("-m", "256M,file=%s,share=off" % image, name="vm%d" % i))
        for i, vm in enumerate(guests):
            at = vm.free
            with open(image, "rb") as file:
                word = os.pread(file.fileno(), 8, at - vm.ram)
            assert vm.do("r", at) == int.from_bytes(word, "little") != 0
            vm.do("f", at, 64, i)
        for i, vm in enumerate(guests):
            assert vm.do("s", vm.free, 64) == 64 * i
            # What it changed: 64 pages, and what the loader wrote.
            assert vm.smaps(str(image))["Private_Dirty"] < 64 * 4096 + 2 * MIB
            assert vm.smaps(str(image))["Anonymous"] >= 64 * 4096
        assert checksum() == before
        assert [vm.end() for vm in guests] == [0] * 10
    finally:
        for vm in guests:
            vm.__exit__()
    assert checksum() == before


def test_memfd(guest):
    with guest("-m", "16M,memfd=on") as vm:
        vm.do("t", vm.free, TEXT.decode())
        folder = "/proc/%d/fd" % vm.pid
        fds = {os.readlink("%s/%s" % (folder, fd)): "%s/%s" % (folder, fd)
               for fd in os.listdir(folder)}
        path = next(p for link, p in fds.items() if link.startswith("/memfd:memvisor:ram0"))
        assert text_at(path, vm.free - vm.ram) == TEXT
        # Nobody can take bytes away from the guest.
        with open(path, "r+b") as file, pytest.raises(PermissionError):
            file.truncate(4096)


@pytest.mark.alone  # takes the host's huge pages
@pytest.mark.parametrize("page, pages, keys", [
    (2 * MIB, 8, "hugetlb=2M"), (2 * MIB, 8, "hugetlb=2M,share=off"),
    (2 * MIB, 8, "hugetlb=2M,prealloc=on"), (2 * MIB, 8, "hugetlb=2M,lock=on"),
    (2 * MIB, 8, "hugetlb=2M,share=off,lock=on"), (1024 * MIB, 1, "hugetlb=1G"),
])
def test_huge_pages(guest, page, pages, keys):
    """The kernel's account of the mapping, and a file that others can map unless it is private."""
    with huge_pages(page, pages) as pool:
        left = pool.left()
        with guest("-m", "%dM,%s" % (page * pages // MIB, keys)) as vm:
            assert pool.left() == left - pages
            at = vm.ram + page * pages - 4096
            vm.do("t", at, TEXT.decode())
            assert vm.do("r", at) == int.from_bytes(TEXT[:8], "little")
            told = vm.smaps("memfd:memvisor:ram0")
            assert "ht" in told["flags"] and told["KernelPageSize"] == page
            held = told["Shared_Hugetlb"] + told["Private_Hugetlb"]
            assert page <= held <= page * pages
            early = "prealloc" in keys or "lock" in keys
            assert not early or held == page * pages
            with vm.qmp() as qmp:
                block, = qmp.execute("x-query-blocks")
            assert block["resident"] == block["huge"] == held and block["page-size"] == page
            assert block["policies"] == (["lock"] if early else []) or page == 1024 * MIB
            link = vm.rundir / "ram/ram0"
            assert link.exists() == ("share=off" not in keys)
            if link.exists():
                with open(link, "rb") as file, \
                        mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as shared:
                    assert shared[at - vm.ram:][:len(TEXT)] == TEXT
            assert vm.end() == 0
        assert pool.left() == left


@pytest.mark.parametrize("share", ["", ",share=on", ",share=off"])
def test_descriptor(guest, tmp_path, share):
    ram = make_file(tmp_path / "ram.img")
    fd = os.open(ram, os.O_RDWR)
    try:
        with guest("-m", "16M,fd=%d%s" % (fd, share), pass_fds=[fd]) as vm:
            vm.do("t", vm.free, TEXT.decode())
            assert vm.end() == 0
    finally:
        os.close(fd)
    assert (text_at(ram, vm.free - vm.ram) == TEXT) == (share != ",share=off")


@pytest.mark.parametrize("how", ["option", "environment", "share"])
def test_unnamed_files(guest, tmp_path, how):
    folder = tmp_path / "mem"
    folder.mkdir()
    options, env = {
        "option": (["-m", "16M", "--mem-dir", folder], {}),
        "environment": (["-m", "16M"], {"MEMVISOR_MEM_DIR": str(folder)}),
        "share": (["-m", "16M,share=on"], {"TMPDIR": str(folder)}),
    }[how]
    with guest(*options, env=env) as vm:
        vm.do("f", vm.free, 16, 1)
        assert list(folder.iterdir()) == []
        assert vm.smaps(str(folder))["Rss"] >= 16 * 4096


def test_missing_file(refuse, tmp_path):
    path = tmp_path / "ram.img"
    message = refuse("-m", "16M,file=%s" % path)
    assert "block ram0" in message and "create=on" in message
    command = re.search(r"truncate -s \S+ '\S+'", message).group(0)
    subprocess.run(command, shell=True, check=True)
    assert os.stat(path).st_size == 16 * MIB


def test_larger_file_keeps_its_bytes(refuse, guest, tmp_path):
    """What to type takes the file as it is, and throws nothing of it away."""
    path = make_file(tmp_path / "ram.img", 32 * MIB)
    message = refuse("-m", "16M,file=%s,create=on" % path)
    assert "32 MiB" in message and "16 MiB" in message and "truncate" not in message
    size = re.search(r"say -m (\w+) of a bank", message).group(1)
    with guest("-m", "%s,file=%s" % (size, path)) as vm:
        assert vm.end() == 0
    assert path.stat().st_size == 32 * MIB


@pytest.mark.parametrize("size", [0, 4096, 16 * MIB - 1])
def test_wrong_size(refuse, guest, tmp_path, size):
    """Both sizes, and a command that makes it right."""
    path = make_file(tmp_path / "ram.img", size)
    message = refuse("-m", "16M,file=%s,create=on" % path)
    assert "16 MiB" in message
    assert {0: "0 bytes", 4096: "4 KiB"}.get(size, "16777215 bytes") in message
    subprocess.run(re.search(r"truncate -s \S+ '\S+'", message).group(0), shell=True, check=True)
    with guest("-m", "16M,file=%s" % path) as vm:
        assert vm.end() == 0


def test_name_that_a_shell_reads_otherwise(refuse, guest, tmp_path):
    path = tmp_path / 'it\'s "$HOME".img'
    for _ in "absent", "short":
        message = refuse("-m", "16M,file=%s" % path)
        command = re.search(r'truncate -s 16M ".*"(?=, or write create=on|\n)', message).group(0)
        assert not path.exists() or path.stat().st_size == 4096
        subprocess.run(command, shell=True, check=True)
        assert path.stat().st_size == 16 * MIB
        os.truncate(path, 4096)


def test_what_is_no_file(refuse, tmp_path):
    assert "is a directory" in refuse("-m", "16M,file=%s" % tmp_path)
    assert "is a directory" in refuse("-m", "16M,file=%s,share=off" % tmp_path)
    assert "regular file" in refuse("-m", "16M,file=/dev/null")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert "regular file" in refuse("-m", "16M,file=%s" % fifo)
    file = make_file(tmp_path / "file")
    message = refuse("-m", "16M,file=%s/x" % file)
    assert "Not a directory" in message
    assert "no folder" in refuse("-m", "16M", "--mem-dir", file)
    assert str(tmp_path / "none") in refuse("-m", "16M", "--mem-dir", tmp_path / "none")


def test_two_blocks_on_one_file(refuse, guest, tmp_path):
    path = make_file(tmp_path / "ram.img")
    link = tmp_path / "link"
    os.link(path, link)
    message = refuse("-m", "16M,file=%s" % path, "-m", "16M,file=%s" % link)
    assert "ram0" in message and "ram1" in message and "same-file=ok" in message
    both = ["-m", "16M@2G,file=%s,same-file=ok" % path, "-m", "16M@8G,file=%s,same-file=ok" % link]
    with guest(*both) as vm:
        vm.do("w", (8 << 30) + vm.free - vm.ram, 77)
        assert vm.do("r", vm.free) == 77
    private = [word.replace("same-file=ok", "share=off") for word in both]
    with guest(*private) as vm:
        vm.do("w", (8 << 30) + vm.free - vm.ram, 78)
        assert vm.do("r", vm.free) == 77


def test_file_of_another_memvisor(refuse, guest, tmp_path):
    path = make_file(tmp_path / "ram.img")
    shared, private = "16M,file=%s" % path, "16M,file=%s,share=off" % path
    with guest("-m", shared):
        for bank in (shared, private):
            message = refuse("-m", bank)
            assert "another memvisor" in message and "same-file=ok" in message
    with guest("-m", private):
        assert "another memvisor" in refuse("-m", shared)
        with guest("-m", private, name="other") as vm:
            assert vm.end() == 0
    both = shared + ",same-file=ok"
    with guest("-m", both) as one, guest("-m", both, name="other") as two:
        one.do("w", one.free + 8 * MIB, 99)
        assert two.do("r", two.free + 8 * MIB) == 99


def test_backs_of_no_block(refuse, tmp_path):
    path = make_file(tmp_path / "ram.img")
    message = refuse("-m", "16M@2G,id=low", "-m", "16M@8G", "--back", "ram0=%s" % path)
    assert "'ram0'" in message and "low, ram1" in message
    other = make_file(tmp_path / "other.img")
    message = refuse("-m", "16M", "--back", "ram0=%s" % path, "--back", "ram0=%s" % other)
    assert "twice" in message and str(path) in message and str(other) in message
    message = refuse("-m", "16M", "-m", "16M,id=top", "--back", "ram0=%s" % path, "--back",
                     "ram0=%s/made,create=on" % tmp_path)
    assert "'ram0=%s'" % path in message and "ram0, top" in message
    assert not (tmp_path / "made").exists()
    message = refuse("-m", "16M", "--pcram-file", path, "--back", "ram0=%s" % other)
    assert "twice" in message and "--pcram-file" in message
    message = refuse("-m", "16M,file=%s" % path, "--back", "ram0=%s" % other)
    assert "already" in message and str(other) in message


def test_descriptors_that_are_none(memvisor, binary, refuse, tmp_path):
    assert "descriptor 77 is not open" in refuse("-m", "16M,fd=77")
    path = make_file(tmp_path / "ram.img", 4096)
    for flags, words in ((os.O_RDWR, ["4 KiB", "16 MiB", "ftruncate"]),
                         (os.O_RDONLY, ["reading and writing", "share=off"]),
                         (os.O_WRONLY, ["reading and writing"])):
        fd = os.open(path, flags)
        result = subprocess.run(
            [memvisor.path, "run", "--firmware", binary, "-m", "16M,fd=%d" % fd], pass_fds=[fd],
            capture_output=True, text=True)
        os.close(fd)
        assert result.returncode == 1
        for word in words:
            assert word in result.stderr


@pytest.mark.parametrize("seal", [fcntl.F_SEAL_WRITE, F_SEAL_FUTURE_WRITE])
def test_descriptor_that_is_sealed(memvisor, binary, seal):
    """Whoever gives it out may forbid writing for good."""
    fd = os.memfd_create("sealed", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 16 << 20)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seal)

    def run(keys):
        return subprocess.run(
            [memvisor.path, "run", "--firmware", binary, "-m", "16M,fd=%d%s" % (fd, keys),
             "--dump-dtb", "/dev/null"], pass_fds=[fd], capture_output=True, text=True)
    result = run("")
    assert result.returncode == 1 and result.stderr.count("\n") == 1
    assert "sealed against writing" in result.stderr and "write share=off" in result.stderr
    assert run(",share=off").returncode == 0
    os.close(fd)


def test_permissions(memvisor, binary, tmp_path):
    """Root may open everything, so that another user tries."""
    path = make_file(tmp_path / "ram.img")
    wrap = []
    if os.geteuid() == 0:
        for folder in (tmp_path, *tmp_path.parents):
            if folder.stat().st_mode & 0o001 == 0 and folder.stat().st_uid == 0:
                folder.chmod(folder.stat().st_mode | 0o011)
        program = tmp_path / "memvisor"
        program.write_bytes(open(memvisor.path, "rb").read())
        program.chmod(0o755)
        firmware = tmp_path / "guest.bin"
        firmware.write_bytes(binary.read_bytes())
        os.chown(path, 65534, 65534)
        wrap = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]
    else:
        program, firmware = memvisor.path, binary

    def refused(bank):
        result = subprocess.run([*wrap, program, "run", "--firmware", firmware, "-m", bank,
                                 "--dump-dtb", "/dev/null"], capture_output=True, text=True)
        assert result.returncode == 1, result
        return result.stderr

    path.chmod(0o400)
    message = refused("16M,file=%s" % path)
    assert "read-only" in message and "share=off" in message and "chmod u+w" in message
    path.chmod(0)
    assert "no permission" in refused("16M,file=%s" % path)
    assert "chmod u+r" in refused("16M,file=%s,share=off" % path)
