# SPDX-License-Identifier: Apache-2.0
"""What Linux would lose of a machine without a word is said before it starts,
and Debian's kernel bears the figures out."""
import re

LOOK = """
echo bytes: $(cat /proc/cmdline | tr -d '\\n' | wc -c)
echo regions: $(grep -c 'System RAM' /proc/iomem)
echo highest: $(grep 'System RAM' /proc/iomem | tail -n 1)
"""


def warnings(result):
    return re.findall(r"^memvisor: warning: (.*)$", result.err, re.M)


def test_linux_loses_it(memvisor, initrd):
    banks = ["512M", *("1M@%#x" % (0x100000000 + i * 0x200000) for i in range(1024)),
             "64M@0xa00000000000"]
    options = [word for bank in banks for word in ("-m", bank)]
    result = memvisor.boot(initrd(LOOK), *options, append="x=" + 2048 * "y")
    assert result.code == 0, result
    said = warnings(result)
    assert len(said) == 3, said
    cmdline = len(memvisor.cmdline) + 1 + 2 + 2048
    assert "the command line has %d bytes, and Linux takes 2047" % cmdline in said[0]
    assert "1026 regions of RAM, and Linux takes 1024" in said[1]
    assert "from ram0 (0x80000000) to ram1025 (0xa00000000000) span 160 TiB, and Linux maps " \
        "128 TiB: it loses the 64 MiB beyond" in said[2]
    assert "bytes: 2047" in result.out and "regions: 1024" in result.out
    assert "highest: 17fc00000-17fcfffff" in result.out, result.out


def test_at_the_limits(memvisor, initrd):
    banks = ["512M", *("1M@%#x" % (0x100000000 + i * 0x200000) for i in range(1022)),
             "64M@0x80007c000000"]
    options = [word for bank in banks for word in ("-m", bank)]
    text = "x=" + (2047 - len(memvisor.cmdline) - 3) * "y"
    result = memvisor.boot(initrd(LOOK), *options, append=text)
    assert result.code == 0 and warnings(result) == [], result
    assert "bytes: 2047" in result.out and "regions: 1024" in result.out
    assert "highest: 80007c000000-80007fffffff" in result.out, result.out


def test_other_guests_have_other_limits(memvisor, tmp_path):
    """A flat binary says nothing of what it takes."""
    (tmp_path / "image").write_bytes(b"\x00\x00\x00\x14")
    result = memvisor.run("run", "--firmware", tmp_path / "image", "-m", "16M", "-a", 3000 * "y",
                          "--dump-dtb", "/dev/null")
    assert result.code == 0 and result.err == "", result
