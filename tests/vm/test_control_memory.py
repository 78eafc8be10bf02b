# SPDX-License-Identifier: Apache-2.0
"""What the control socket tells of a guest's memory, against what the host says."""
import threading

import pytest

from memory_guest import Guest

MIB = 1 << 20


@pytest.fixture
def guest(memvisor, tmp_path):
    image = tmp_path / "ram.img"
    image.write_bytes(b"")
    image.open("r+b").truncate(16 * MIB)
    with Guest(memvisor, tmp_path, "-m", "32M", "-m", "16M@0x100000000,file=%s" % image) as guest:
        yield guest


def blocks(qmp, **arguments):
    return {block["id"]: block for block in qmp.execute("x-query-blocks", **arguments)}


def test_blocks(guest, tmp_path):
    with guest.qmp() as qmp:
        found = blocks(qmp)
        one = found["ram1"]
        assert (one["gpa"], one["size"], one["device"]) == (0x100000000, 16 * MIB, "")
        assert (one["backing"], one["path"]) == ("file", str(tmp_path / "ram.img"))
        assert (one["share"], one["save"], one["resident"]) == (True, False, 0)
        assert "residency" not in one
        zero = found["ram0"]
        assert (zero["backing"], zero["share"], zero["save"]) == ("anonymous", False, True)
        assert "path" not in zero
        ids = {memdev["id"] for memdev in qmp.execute("query-memdev")}
        assert ids == set(found)
        # Everything else that RAM ranges name is a block, too.
        ram = {entry["name"] for entry in qmp.execute("x-query-space") if entry["kind"] == "ram"}
        assert ram <= set(found)


def test_residency(guest):
    with guest.qmp() as qmp:
        guest.do("f", 0x100000000 + 8 * MIB, 16, 1)
        one = blocks(qmp, parts=4)["ram1"]
        assert len(one["residency"]) == 4
        assert one["residency"][2] >= 16 * 4096, one
        assert one["residency"][0] == one["residency"][3] == 0
        assert one["resident"] == guest.smaps("ram.img")["Rss"]
        for wrong in 0, -1, 4097, "4":
            assert qmp.command("x-query-blocks", parts=wrong)["error"]["class"] == "GenericError"


def test_four_clients_list_pause_and_continue(guest):
    """At once, while the guest writes."""
    guest.do("m")
    guest.send("l", 0x10000)
    failures = []

    def work():
        try:
            with guest.qmp() as qmp:
                for _ in range(15):
                    qmp.execute("stop")
                    assert set(blocks(qmp, parts=16)) >= {"ram0", "ram1"}
                    qmp.execute("query-memdev")
                    qmp.execute("cont")
        except BaseException as why:  # told by the main thread
            failures.append(why)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    with guest.qmp() as qmp:
        qmp.execute("cont")
    guest.answer(60)
    assert guest.end() == 0
