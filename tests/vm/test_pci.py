# SPDX-License-Identifier: Apache-2.0
"""PCI as Debian's kernel sees it: enumeration, BARs, INTx by uio_pci_generic, and
DMA, which have to come out the same under QEMU."""
import pytest

import harness
import memory_guest

LOOK = """
for d in /sys/bus/pci/devices/*; do
    echo $(basename $d): $(cat $d/vendor $d/device $d/subsystem_vendor $d/subsystem_device \\
        $d/class $d/revision)
    echo $(basename $d) bars: $(awk '$1 != 0 || $2 != 0 { print NR-1 ":" $1 "-" $2 }' $d/resource)
done
"""

# A program has the device edu at /dev/uio0; $1 is where BAR0 is.
EDU = """
insmod /uio.ko
insmod /uio_pci_generic.ko
echo 1234 11e8 > /sys/bus/pci/drivers/uio_pci_generic/new_id
exec 3< /dev/uio0
cd /sys/bus/pci/devices/0000:00:05.0
set -- $(cat resource)
"""

# The second interrupt comes because the first was not acknowledged at the device.
INTX = EDU + """\
register() { busybox devmem $(printf 0x%x $(($1 + $2))) 32 $3; }
word() { echo $(busybox od -An -tx2 -j$1 -N2 config); }
heard() { echo $(busybox timeout 20 busybox dd bs=4 count=1 <&3 2>/dev/null | busybox od -An -td4); }
echo id: $(register $1 0)
register $1 4 0x12345678
echo liveness: $(register $1 4)
register $1 8 5
while [ $(($(register $1 0x20) & 1)) = 1 ]; do :; done
echo factorial: $(register $1 8)
register $1 0x60 1
echo first: $(heard)
echo masked: $((0x$(word 4) >> 10 & 1)) status: $((0x$(word 6) >> 3 & 1))
printf '\\003\\000' | busybox dd of=config bs=2 seek=2 count=1 conv=notrunc 2>/dev/null
echo again: $(heard)
register $1 0x64 1
echo acknowledged: $((0x$(word 6) >> 3 & 1)) $(register $1 0x24)
printf '\\003\\000' | busybox dd of=config bs=2 seek=2 count=1 conv=notrunc 2>/dev/null
register $1 0x60 8
echo third: $(heard)
"""

# RAM above `mem=` is nobody's: a page of it is filled, goes into the device's
# buffer, and from there to other places.  Not to the buffer's last byte, where
# QEMU 7.2 ends itself.
DMA = EDU + """\
bar=$1
set -- /proc/device-tree/memory@*
ram=$((0x${1##*@} + 0xc800000))
register() { busybox devmem $((bar + $1)) $2 $3; }
memory() { busybox devmem $((ram + $1)) 64 $2; }
command() { printf "$1" | busybox dd of=config bs=2 seek=2 count=1 conv=notrunc 2>/dev/null; }
heard() { echo $(busybox timeout 20 busybox dd bs=4 count=1 <&3 2>/dev/null | busybox od -An -td4); }
start() {
    register 0x80 64 $1
    register 0x88 64 $2
    register 0x90 64 $3
    register 0x98 64 $4
}
dma() {
    start $1 $2 $3 $4
    while [ $(($(register 0x98 64) & 1)) = 1 ]; do :; done
}
memory 0 0x1122334455667788
memory 8 0x99aabbccddeeff00
memory 0x100 0
memory 0x108 0
command '\\006\\000'
dma $ram 0x40fe0 16 1
dma 0x40fe1 $((ram + 0x101)) 14 3
echo copied: $(memory 0x100) $(memory 0x108) $(register 0x24 32)
start 0x40fe0 $((ram + 0x108)) 8 7
echo told: $(heard) $(register 0x24 32) $(memory 0x108)
register 0x64 32 0x100
echo acknowledged: $(register 0x24 32)
register 0x98 64 2
echo registers: $(register 0x80 64) $(register 0x80 32) $(register 0x84 32) $(register 0x90 64) \
    $(register 0x98 64) $(register 0x98 32) $(register 0 64) $(register 0xa0 64)
register 0x90 32 0x21
register 0x94 32 0x77
echo narrow: $(register 0x90 64)
command '\\002\\000'
dma $ram 0x40fe0 8 1
command '\\006\\000'
dma 0x40fe0 $((ram + 0x110)) 16 3
echo no master: $(memory 0x110) $(memory 0x118)
dma 0x3000000000 0x40fe8 8 1
dma 0x40fe0 0x3000000000 8 3
dma 0x40fe0 $((ram + 0x110)) 16 3
echo hole: $(memory 0x110) $(memory 0x118)
"""


def test_enumeration(memvisor, initrd, tmp_path):
    """With slots that were asked for and one that is the next free one."""
    with open(tmp_path / "shared", "wb") as file:
        file.truncate(4 << 20)
    result = memvisor.boot(initrd(LOOK), "-m", "256M", "--device", "edu", "--device",
                           "edu,addr=1.0", "--ivshmem", f"mem={tmp_path}/shared,size=4M,addr=1f.0")
    assert result.code == 0, result
    for slot in ("01", "02"):
        assert result.value(f"0000:00:{slot}.0") == "0x1234 0x11e8 0x1af4 0x1100 0x00ff00 0x10"
    assert result.value("0000:00:1f.0") == "0x1af4 0x1110 0x1af4 0x1100 0x050000 0x01", result
    bars = dict(word.split(":") for word in result.value("0000:00:1f.0 bars").split())
    spans = {bar: [int(end, 16) for end in span.split("-")] for bar, span in bars.items()}
    assert sorted(spans) == ["0", "2"], result
    assert spans["0"][1] - spans["0"][0] + 1 == 256
    assert spans["2"][1] - spans["2"][0] + 1 == 4 << 20
    assert 0x50000000 <= spans["0"][0] < 0x80000000
    assert 0x8000000000 <= spans["2"][0] < 0x10000000000


def test_bank_in_the_64_bit_window(memvisor, initrd, tmp_path):
    """The window gives way."""
    result = memvisor.boot(initrd(LOOK), "-m", "256M", "-m", "64M@512G", "--ivshmem",
                           f"mem={tmp_path}/shared,size=4M,create=on")
    bars = dict(word.split(":") for word in result.value("0000:00:01.0 bars").split())
    assert int(bars["2"].split("-")[0], 16) >= (1 << 48) - (512 << 30), result


PORT = "pcie-root-port,id=p,chassis=1,addr=6"


# Behind a port the line depends on both slots.
@pytest.mark.parametrize("name,devices,place", [
    ("memvisor", ["edu,addr=5"], "00:05.0"), ("qemu", ["edu,addr=5"], "00:05.0"),
    ("memvisor", [PORT, "edu,bus=p"], "01:00.0"), ("qemu", [PORT, "edu,bus=p"], "01:00.0")])
def test_line_interrupts(request, initrd, name, devices, place):
    modules = [(harness.GUEST_FILES / "modules" / file, file)
               for file in ("uio.ko", "uio_pci_generic.ko")]
    machine = request.getfixturevalue(name)
    option = {"memvisor": "--device", "qemu": "-device"}[name]
    result = machine.boot(initrd(INTX.replace("00:05.0", place), modules), "-m", "256M",
                          *[word for device in devices for word in (option, device)])
    found = [result.value(word) for word in ("id", "liveness", "factorial", "first", "masked",
                                             "again", "acknowledged", "third")]
    assert found == ["0x010000ED", "0xEDCBA987", "0x00000078", "1", "1 status: 1", "2",
                     "0 0x00000000", "3"], result


MASK = "0xffffffffffffffff"


@pytest.mark.parametrize("name", ["memvisor", "qemu"])
@pytest.mark.parametrize("mask,expected", [
    (MASK, {
        "copied": "0x1122334455667700 0x00AABBCCDDEEFF00 0x00000000",
        "told": "1 0x00000100 0x1122334455667788",
        "acknowledged": "0x00000000",
        "registers": "0x0000000000040FE0 0x00040FE0 0xFFFFFFFF 0x0000000000000008 "
                     "0x0000000000000006 0x00000006 0xFFFFFFFFFFFFFFFF 0xFFFFFFFFFFFFFFFF",
        "narrow": "0x0000000000000021",
        "no master": "0x0000000000000000 0x99AABBCCDDEEFF00",
        "hole": "0x0000000000000000 0x0000000000000000"}),
    # 28 bits, with which a device of either reaches no RAM.
    (None, {"copied": "0x0000000000000000 0x0000000000000000 0x00000000"})])
def test_edu_dma(request, initrd, name, mask, expected):
    modules = [(harness.GUEST_FILES / "modules" / file, file)
               for file in ("uio.ko", "uio_pci_generic.ko")]
    machine = request.getfixturevalue(name)
    option = {"memvisor": "--device", "qemu": "-device"}[name]
    device = "edu,addr=5" + (",dma_mask=" + mask if mask else "")
    result = machine.boot(initrd(DMA, modules), "-m", "256M", option, device, append="mem=192M")
    assert {word: result.value(word) for word in expected} == expected, result


@pytest.mark.parametrize("options,parts", [
    (["--device", "nonsense"], ["--device nonsense: there is no device of the type 'nonsense'"]),
    (["--device", "edu,addr=4", "--device", "edu,addr=04.0"], ["PCI slot 04.0 holds a edu"]),
    (["--device", "ivshmem-doorbell"], ["--device ivshmem-doorbell: write it as --ivshmem"]),
    (["--ivshmem", "mem=x,size=3M,create=on"], ["the size of 3 MiB", "power of two"]),
    (["--ivshmem", "mem=/nowhere/x,size=1M"], ["/nowhere/x"]),
    (["--ivshmem", "mem-id=ram7"], ["--ivshmem mem-id=ram7: there is no block 'ram7'"]),
    (["-m", "192M", "--ivshmem", "mem-id=ram0"], ["--ivshmem mem-id=ram0:", "power of two"]),
    (["--device", "pcie-root-port,id=p", "--ivshmem", "mem={tmp}/a,size=1M,create=on,bus=p",
      "--ivshmem", "mem-id=pci/01.0/00.0/bar2,bus=q", "--device", "pcie-root-port,id=q"],
     ["'pci/01.0/00.0/bar2' goes when its device is unplugged"]),
])
def test_refused(memvisor, kernel, tmp_path, options, parts):
    options = [option.replace("{tmp}", str(tmp_path)) for option in options]
    result = memvisor.run("run", "-k", kernel, *options)
    assert result.code == 1 and result.err.count("\n") == 1, result
    for part in parts:
        assert part in result.err, result


def test_bars_that_do_not_fit(memvisor, kernel, tmp_path):
    """Linux would leave a device without its memory: refused, alone and together."""
    def run(*sizes):
        options = []
        for i, size in enumerate(sizes):  # sparse, and gone after the test
            with open(tmp_path / str(i), "wb") as file:
                file.truncate(int(size[:-1]) << {"M": 20, "G": 30, "T": 40}[size[-1]])
            options += ["--ivshmem", "mem=%s,size=%s" % (file.name, size)]
        return memvisor.run("run", "-k", kernel, "--dump-dtb", "/dev/null", *options)
    result = run("1T")
    assert result.code == 1
    for part in ("--ivshmem mem=", "a BAR of 1 TiB is too large", "768 MiB below 4 GiB",
                 "512 GiB above"):
        assert part in result.err, result
    # The high window alone, or both: 64-bit BARs may stand below 4 GiB as well.
    for sizes in (["512G"], ["256G", "256G"], ["128G", "256G", "128G", "512M"]):
        assert run(*sizes).code == 0, sizes
    for sizes in (["512G", "1G"], ["256G", "256G", "512M", "256M"]):
        result = run(*sizes)
        assert result.code == 1 and "that does not fit" in result.err, result
        assert "with this device, whose largest BAR has %s" % (
            "1 GiB" if len(sizes) == 2 else "256 MiB") in result.err, result


def test_two_bars_in_one_page(memvisor, tmp_path):
    """Registers are found by the byte: of two devices whose 256 bytes share a page,
    each answers at its own, whichever of them is enabled."""
    ecam, window = 0x40000000, 0x50000000
    files = [tmp_path / "a", tmp_path / "b"]
    options = [word for path in files
               for word in ("--ivshmem", "mem=%s,size=1M,create=on" % path)]
    with memory_guest.Guest(memvisor, tmp_path, "-m", "64M", *options) as guest:
        slots = [slot for slot in range(32)
                 if guest.do("g", ecam + (slot << 15)) == 0x11101af4]
        assert len(slots) == 2
        config = [ecam + (slot << 15) for slot in slots]
        bars = [window, window + 0x100]
        for place, bar in zip(config, bars):
            guest.do("d", place + 0x10, bar)
            assert guest.do("g", place + 0x10) & ~15 == bar
        guest.do("d", config[1] + 4, 2) # the second alone
        guest.do("d", bars[1], 0x5)
        assert guest.do("g", bars[1]) == 0x5
        guest.do("d", config[0] + 4, 2) # both
        guest.do("d", bars[0], 0x9)
        assert guest.do("g", bars[0]) == 0x9 and guest.do("g", bars[1]) == 0x5
        guest.do("d", config[1] + 4, 0) # the first alone
        assert guest.do("g", bars[0]) == 0x9
        assert guest.end() == 0
