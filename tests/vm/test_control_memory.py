# SPDX-License-Identifier: Apache-2.0
"""What the control socket tells of a guest's memory, against what the host says."""
import select
import threading
import time

import pytest

import harness
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


def test_size_counts_banks_alone(memvisor, tmp_path):
    """Memory that a device has in a BAR is the device's, as in QEMU."""
    with open(tmp_path / "shared", "wb") as file:
        file.truncate(4 * MIB)
    with Guest(memvisor, tmp_path, "-m", "32M", "-m", "16M", "--ivshmem",
               "mem=%s/shared,size=4M,addr=1.0" % tmp_path) as guest, guest.qmp() as qmp:
        config = 0x40000000 + (1 << 15)
        guest.do("t", config + 0x1b, "\x50")
        guest.do("t", config + 4, "\x02")
        mapped = [entry for entry in qmp.execute("x-query-space") if entry["gpa"] == 0x50000000]
        assert [entry["size"] for entry in mapped if entry["kind"] == "ram"] == [4 * MIB], mapped
        assert qmp.execute("query-memory-size-summary")["base-memory"] == 48 * MIB


def test_four_clients_list_pause_and_continue(guest):
    """At once, while the guest writes."""
    guest.do("m")
    guest.send("l", 0x8000)
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
    guest.answer(300)
    assert guest.end() == 0


def test_dirty_map(guest):
    with guest.qmp() as qmp, guest.qmp() as other:
        quiet = {entry["id"]: entry for entry in qmp.execute("x-dirty-map", milliseconds=1)}
        assert quiet["ram1"]["dirty"] == 0 and "map" not in quiet["ram1"]
        # Another client is served meanwhile.
        qmp.send({"execute": "x-dirty-map", "arguments": {"milliseconds": 1500, "parts": 4}})
        for _ in range(2):  # what came before from another client is under way by then
            assert other.execute("query-status")["running"]
        # When it begins to listen is the host's matter.
        while not select.select([qmp.socket], [], [], 0)[0]:
            guest.do("f", 0x100000000 + 4 * MIB - 0x2000, 5, 7)
        found = {entry["id"]: entry for entry in qmp.answer()["return"]}
        one = found["ram1"]
        assert (one["size"], one["dirty"]) == (16 * MIB, 5 * 4096)
        assert one["map"] == [2 * 4096, 3 * 4096, 0, 0]
        assert one["milliseconds"] >= 1500
        for wrong in {"parts": 0}, {"parts": 5000}, {"milliseconds": 0}, {"milliseconds": 60001}:
            assert qmp.command("x-dirty-map", **wrong)["error"]["class"] == "GenericError"


def test_dirty_rate(guest):
    with guest.qmp() as qmp:
        assert qmp.execute("query-dirty-rate")["status"] == "unstarted"
        assert "error" in qmp.command("calc-dirty-rate", calc_time=0)
        assert "error" in qmp.command("calc-dirty-rate", calc_time=61)
        assert "dirty-bitmap" in qmp.command("calc-dirty-rate", calc_time=1, mode="page-sampling")[
            "error"]["desc"]
        qmp.execute("calc-dirty-rate", calc_time=2)
        assert "under way" in qmp.command("calc-dirty-rate", calc_time=1)["error"]["desc"]
        assert qmp.execute("query-dirty-rate")["status"] == "measuring"
        time.sleep(0.3)
        guest.do("f", 0x100000000, 8 * MIB // 4096, 1)
        end = time.monotonic() + 30 * harness.PATIENCE
        while (rate := qmp.execute("query-dirty-rate"))["status"] != "measured":
            assert time.monotonic() < end
            time.sleep(0.05)
        # 8 MiB and a page or two of the guest's own, in 2 seconds or a bit more.
        assert (rate["calc-time"], rate["mode"]) == (2, "dirty-bitmap")
        assert rate["dirty-rate"] in (2, 3, 4), rate


def test_a_measurement_does_not_keep_a_vm_from_ending(guest):
    with guest.qmp() as qmp:
        qmp.execute("calc-dirty-rate", calc_time=60)
        start = time.monotonic()
        qmp.execute("quit")
        assert guest.wait() == 0
        assert time.monotonic() - start < 10 * harness.SLOW


def test_policies(memvisor, tmp_path):
    """As the bank's keys say, and as smaps does."""
    with Guest(memvisor, tmp_path, "-m", "16M,merge=on,dump=off,thp=off", "-m",
               "4M@0x100000000,lock=on,thp=on") as guest, guest.qmp() as qmp:
        found = blocks(qmp)
        assert found["ram0"]["policies"] == ["merge", "no-dump", "no-thp"]
        assert found["ram1"]["policies"] == ["lock", "thp"]
        memdevs = {memdev["id"]: memdev for memdev in qmp.execute("query-memdev")}
        zero, one = memdevs["ram0"], memdevs["ram1"]
        assert (zero["merge"], zero["dump"], zero["prealloc"]) == (True, False, False)
        assert (one["merge"], one["dump"], one["prealloc"]) == (False, True, True)
