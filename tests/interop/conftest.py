# SPDX-License-Identifier: Apache-2.0
"""Guests of memvisor's with ivshmem devices, for the tests of this folder."""
import pytest

import harness
import ivshmem_guests


@pytest.fixture(scope="module")
def ivshmem_files(tmp_path_factory):
    """The tool and both drivers."""
    folder = tmp_path_factory.mktemp("guest")
    return ivshmem_guests.program_files(folder) + [
        (harness.GUEST_FILES / "modules/uio_pci_generic.ko", "uio_pci_generic.ko")]


@pytest.fixture
def start(memvisor, kernel, ivshmem_files, tmp_path):
    """start(SCRIPT, OPTION...) starts a guest, which is gone when the test is."""
    guests = []

    def one(script, *options):
        guests.append(ivshmem_guests.memvisor(memvisor, tmp_path, ivshmem_files, script, *options))
        return guests[-1]

    yield one
    for guest in guests:
        guest.kill()
