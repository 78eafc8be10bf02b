# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all Python tests; harness.py has what stands behind them.

Nothing is skipped because a tool or file is missing: that fails, with what to
do.  Only tests marked `long` are left out, unless MEMVISOR_LONG is set.

check.sh has several files run at a time and sets MEMVISOR_TURN: first `together`,
which leaves out what is marked `alone`, then `alone`, which runs that.
"""
import os
import pathlib
import shutil
import signal

import pytest

import harness


def pytest_configure(config):
    # Started by nohup or in the background, signals are ignored, and would be by all
    # that the tests start.
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "long: takes minutes; make check-long runs it")
    config.addinivalue_line("markers", "alone: changes or measures the whole machine, so that "
                            "no other test may run at the time")


# The files that take longest, which begin first, so that all workers end together.
LONGEST = ["test_fuzz_restore", "test_fuzz_receive", "test_fuzz_pci", "test_fuzz_ivshmem", "test_hotplug",
           "test_ivshmem_link", "test_userland", "test_ivshmem_device", "test_numa",
           "test_ivshmem_increments", "test_ivshmem_guests", "test_blocks"]


def pytest_collection_modifyitems(config, items):
    turn = os.environ.get("MEMVISOR_TURN")
    if turn:
        wanted = [item for item in items if bool(item.get_closest_marker("alone")) == (turn == "alone")]
        config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
        rank = {name: place for place, name in enumerate(LONGEST)}
        items[:] = sorted(wanted, key=lambda item: rank.get(item.path.stem, len(LONGEST)))
    if os.environ.get("MEMVISOR_LONG"):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: run by make check-long"))


@pytest.fixture(scope="module", params=harness.ENGINES)
def engines(memvisor, request):
    """The memvisor under test, as it is by itself and with its JIT."""
    if memvisor.path.name == request.param:
        return memvisor
    return harness.Memvisor(memvisor.path.parent / request.param)


@pytest.fixture(scope="session")
def memvisor():
    """The memvisor under test, as harness.Memvisor."""
    path = pathlib.Path(os.environ.get("MEMVISOR") or harness.TOP / "build/memvisor").resolve()
    if not os.access(path, os.X_OK):
        pytest.fail("%s is missing: run make" % path, pytrace=False)
    return harness.Memvisor(path)


@pytest.fixture(scope="session")
def qemu():
    """QEMU's arm64 emulator, as harness.Qemu."""
    path = shutil.which("qemu-system-aarch64")
    if not path:
        pytest.fail("qemu-system-aarch64 is missing: run scripts/setup.sh check", pytrace=False)
    return harness.Qemu(path)


@pytest.fixture(scope="session")
def kernel():
    """Debian's arm64 kernel."""
    if not harness.KERNEL.exists():
        pytest.fail("%s is missing: run make guest-files" % harness.KERNEL, pytrace=False)
    return harness.KERNEL


@pytest.fixture(scope="session")
def initrd(kernel, tmp_path_factory):
    """initrd(script, files=(), raw=False): the path of an initramfs that runs
    the shell script and powers off.  See harness.build_initrd."""
    folder = tmp_path_factory.mktemp("initrd")

    def build(script, files=(), raw=False):
        return harness.build_initrd(script, folder, files, raw)

    return build


@pytest.fixture(scope="session")
def shell_initrd(kernel):
    """The initramfs of `make run`, with a shell on the console."""
    return harness.INITRD
