# SPDX-License-Identifier: Apache-2.0
"""bench/boot.py measures what it says, shown on QEMU's side alone."""
import json

import harness

BENCH = harness.TOP / "bench/boot.py"


def test_measures_a_guest(qemu, kernel):
    result = harness.run([BENCH, "--only", "qemu", "--rounds", "1", "--memory", "256",
                          "--settle", "0.5", "--idle", "1", "--json", "-"], timeout=120)
    assert result.code == 0, result
    figures = json.loads(result.out)["qemu"]
    assert len(figures["boot_seconds_all"]) == 1
    assert 0.1 < figures["boot_seconds"] < 120 * harness.SLOW
    assert 0 < figures["overhead_mib"] < 512
    assert 27 < figures["guest_resident_mib"] <= 256
    assert figures["idle_percent"] < 50


def test_measures_ivshmem_peers(memvisor):
    result = harness.run([harness.TOP / "bench/ivshmem.py", "--memvisor", memvisor.path, "--rounds",
                          "1", "--peers", "20", "--many", "30", "--json", "-"], timeout=120)
    # So few peers say nothing of the ratio.
    assert result.code in (0, 1) and "{" in result.out, result
    figures = json.loads(result.out[result.out.index("{"):])
    assert figures["bare"]["ratio"] > 0 and len(figures["bare"]["pairs"]) == 1


def test_measures_computing(memvisor, qemu, tmp_path):
    """Each side's guest runs each work of two groups, and what is promised is compared."""
    out = tmp_path / "figures"
    result = harness.run([harness.TOP / "bench/compute.py", "--memvisor", memvisor.path, "--rounds",
                          "1", "--seconds", "0.002", "--engine", "emulator", "--only", "crypto",
                          "chase", "--json", out], timeout=300)
    assert result.code == 0 and "pointer-chase" in result.out, result
    figures = json.loads(out.read_text())
    assert len(figures) == 5, figures
    for row in figures.values():
        assert row["memvisor"] > 0 and abs(row["speedup"] - row["qemu"] / row["memvisor"]) < 1e-6


def test_measures_saves(memvisor, qemu):
    result = harness.run([harness.TOP / "bench/save.py", "--memvisor", memvisor.path, "--rounds",
                          "1", "--mib", "32", "--json", "-"], timeout=120)
    assert result.code == 0, result
    figures = json.loads(result.out[result.out.index("{"):])
    assert all(len(rates) == 1 and rates[0] > 0 for rates in figures["rates"].values()), figures
    assert len(figures["untouched"]["large"]) == 8


def test_a_folder_without_reflinks_is_an_error(memvisor):
    result = harness.run([harness.TOP / "bench/save.py", "--memvisor", memvisor.path, "--reflink",
                          "/dev/shm", "--mib", "16", "--rounds", "1"], timeout=120)
    assert result.code == 1 and "/dev/shm has no reflinks: name a folder" in result.err, result


def test_a_guest_that_does_not_boot_is_an_error(kernel, tmp_path):
    fake = tmp_path / "fake"
    fake.write_text("#!/bin/sh\necho no machine here\n")
    fake.chmod(0o755)
    result = harness.run([BENCH, "--only", "qemu", "--qemu", fake, "--rounds", "1"])
    assert result.code == 1
    assert "did not boot and power off (exit 0)" in result.err
    assert "no machine here" in result.err
