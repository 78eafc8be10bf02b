# SPDX-License-Identifier: Apache-2.0
"""Dirty logs as QMP tells them: every way that a guest writes counts, and what
it does not write does not."""
import select
import time

import pytest

import memory_guest

PAGE = 4096
RAM, PAGES = "16M", 4096


@pytest.fixture(params=["", "m"], ids=["device memory", "normal memory"])
def guest(memvisor, tmp_path, request):
    with memory_guest.Guest(memvisor, tmp_path, "-m", RAM, "--no-reboot") as guest:
        if request.param:
            guest.do(request.param)
        yield guest


def dirty_while(guest, *work):
    """The pages of ram0 that are dirty after the work, by guest address.  When the listening
    begins is the host's matter, so the work is done over and over until it ends; and it lasts
    much longer than the work has taken once, which a busy machine has a say in."""
    begin = time.monotonic()
    for command in work:
        guest.do(*command)
    interval = 400 + int(10000 * (time.monotonic() - begin))
    with guest.qmp() as qmp:
        qmp.send({"execute": "x-dirty-map",
                  "arguments": {"milliseconds": interval, "parts": PAGES}})
        while not select.select([qmp.socket], [], [], 0)[0]:
            for command in work:
                guest.do(*command)
        (told,) = qmp.answer()["return"]
    assert told["id"] == "ram0"
    pages = {guest.ram + i * PAGE for i, dirty in enumerate(told["map"]) if dirty}
    assert len(pages) * PAGE == told["dirty"]
    return pages


def beyond(guest, pages):
    """Without the guest program's own: its stack and its line's buffer."""
    return {page for page in pages if page >= guest.free}


def test_every_kind_of_write(guest):
    base = guest.free + 16 * PAGE
    pages = [base + 3 * i * PAGE for i in range(6)]
    # What was written before is not told, and reading is no writing.
    guest.do("f", base, 64, 1)
    assert beyond(guest, dirty_while(guest, ("r", base), ("s", base, 64))) == set()
    work = [("w", pages[0] + 8, 5), ("p", pages[1] + 16, 1, 2), ("t", pages[2] + 3, "text"),
            ("f", pages[3], 2, 9), ("w", pages[4] + PAGE - 8, 1)]
    written = {*pages[:3], pages[3], pages[3] + PAGE, pages[4]}
    assert beyond(guest, dirty_while(guest, *work)) == written
    # Once more: the first listener took nothing from the second.
    assert beyond(guest, dirty_while(guest, ("w", pages[0], 6))) == {pages[0]}


def test_atomics_vectors_and_zva(memvisor, tmp_path):
    with memory_guest.Guest(memvisor, tmp_path, "-m", RAM, "--no-reboot") as guest:
        guest.do("m")
        base = guest.free + 16 * PAGE
        work = [("a", base, 1), ("v", base + PAGE), ("z", base + 2 * PAGE)]
        assert beyond(guest, dirty_while(guest, *work)) == {base, base + PAGE, base + 2 * PAGE}
