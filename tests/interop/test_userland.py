# SPDX-License-Identifier: Apache-2.0
"""Debian's own arm64 programs give in a guest what they give under
qemu-aarch64-static, and none of them meets an undefined instruction.

The guest runs all commands in one boot and prints of each its exit status and
the start and sum of its output; the peer runs the same commands on the host.
"""
import base64
import hashlib
import os
import re
import shutil
import subprocess
import tempfile

import pytest

import harness

ROOT = harness.GUEST_FILES / "userland"
LONG = bool(os.environ.get("MEMVISOR_LONG"))
SHOWN = 300 # bytes of an output

PYTHON = """
import math, hashlib, zlib, struct, random, itertools, sys
n = int(sys.argv[1])
random.seed(7)
total = 0.0
for i in range(n):
    x = random.uniform(-50, 50)
    y = math.sin(x) * math.exp(x / 7) + math.sqrt(abs(x)) - math.atan2(x, i + 1) + math.lgamma(i + 1.5)
    total += y
    if i % (n // 8) == 0:
        print(repr(x), repr(y), repr(total), x.hex(), round(y, 3), '%.17g %e' % (y, x), int(y))
print(hash(total), struct.pack('<dfq', total, total / 1e30, int(total)).hex())
print(pow(3, 1 << 12, (1 << 521) - 1) % 10**40, math.factorial(300) // 7**50 % 10**50)
data = bytes(itertools.islice(itertools.cycle(range(251)), 40 * n))
for name in ('md5', 'sha1', 'sha256', 'sha512', 'sha3_256', 'blake2b', 'blake2s'):
    print(name, hashlib.new(name, data).hexdigest())
packed = zlib.compress(data, 9)
print(len(packed), zlib.crc32(packed), zlib.adler32(data), zlib.decompress(packed) == data)
print(sorted(str(random.random()) for _ in range(n))[:3])
print(float('nan'), float('inf') - float('inf'), 5e-324 / 2, 1e308 * 10, 0.1 + 0.2, 2**-1074 * 3)
print(complex(1, 2) ** complex(0.5, -1.5), math.fsum([0.1] * 10), 7.5 // -2, 7.5 % -2, divmod(-7, 3))
"""

PERL = r"""
my ($n) = @ARGV; my %count; my $text = ''; my $x = 12345; my $sum = 0;
for my $i (1 .. $n) {
    $x = ($x * 1103515245 + 12345) % 2147483648;
    $count{$x % 97}++; $text .= chr(97 + $x % 26) if $i % 3;
    $sum += sqrt($x) / ($i + 0.5) - atan2($i, $x + 1) + log($x + 1);
}
printf "%.15g %e %s\n", $sum, $sum * 1e-200, join(',', map { "$_=$count{$_}" } (sort { $a <=> $b } keys %count)[0 .. 9]);
my $words = () = $text =~ /[aeiou][^aeiou]+/g; (my $other = $text) =~ tr/a-m/n-z/;
printf "%d %d %s %s\n", $words, length $text, substr($other, 0, 40), join '', reverse split //, substr $text, 0, 20;
printf "%s %s %s\n", 9**20, 1e15 + 0.3, 2**53 + 1; printf "%x %o %b %.3f %s\n", 255, 8, 5, 2.0005, 1 / 7;
printf "%s\n", unpack('H*', pack('dfNnvVw', 3.14159, -2.5, 1, 2, 3, 4, 300));
"""

BASH = r"""
n=$1 sum=0; declare -A seen; list=()
for ((i = 0; i < n; i++)); do
    ((sum = (sum * 31 + i * i ^ (sum >> 7)) & 0xffffffff)); seen[$((sum % 53))]=$i; list+=("$((sum % 1000))")
done
echo $sum ${#seen[@]} ${seen[7]} ${list[@]:10:10}; s=$(printf '%s-' "${list[@]:0:30}"); echo ${s//7/seven} ${#s} ${s:5:20}
printf '%05d %x %o %s %q %e\n' 42 255 8 text 'a b' 12345.678; [[ abc123 =~ ([a-z]+)([0-9]+) ]] && echo ${BASH_REMATCH[@]}
f() { local a=$1; ((a < 2)) && echo 1 || echo $(($(f $((a - 1))) + $(f $((a - 2))))); }; f 7
trap 'echo trapped' USR1; kill -USR1 $$; (exit 7); echo $?; echo {1..5} {a..e}; case x1 in x[0-9]) echo in case;; esac
"""

SQL = """
create table t(a integer primary key, b real, c text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < %(n)d)
insert into t select i, sqrt(i) * 3.7 - i %% 13 / 7.0, printf('%%05x-%%s', i * 7919 %% 65536, hex(i)) from n;
create index by_c on t(c);
select count(*), sum(b), avg(b), min(c), max(c), total(a * 1.5) from t;
select c, b from t where c between '04' and '05' order by b desc limit 5;
select a %% 10, count(*), round(avg(b), 6), group_concat(substr(c, 1, 1), '') from t where a < 200 group by 1 order by 1;
select sin(1), exp(2.5), pow(2, 0.5), ln(10), 1e308 * 10, 9223372036854775807 + 1, 0.1 + 0.2, cast('12abc' as integer), 7 / 2, 7 %% -3;
pragma integrity_check;
"""

C_PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
struct pair { double x; float y; long z; };
static int compare(const void *a, const void *b) { double d = ((struct pair *)a)->x - ((struct pair *)b)->x; return (d > 0) - (d < 0); }
int main(int argc, char **argv)
{
    int n = atoi(argv[1]); struct pair *p = malloc(n * sizeof *p); unsigned seed = 1;
    for (int i = 0; i < n; i++) { seed = seed * 1664525u + 1013904223u; p[i] = (struct pair){seed / 3.0 - i, seed * 0.25f, (long)seed * i}; }
    qsort(p, n, sizeof *p, compare);
    double sum = 0; long bits = 0;
    for (int i = 0; i < n; i++) { sum += p[i].x * (i & 1 ? 1 : -1) + sqrt(p[i].y); bits ^= p[i].z << (i & 7); }
    printf("%.17g %lx %a %d %u %ld\n", sum, bits, p[n / 2].x, (int)p[1].x, (unsigned)p[2].y, lrint(p[3].x / 1e3));
    char text[200]; snprintf(text, sizeof text, "%s %10.3f|%-8d|%+e", "hello", 3.14159, 42, -1e-10); puts(text);
    printf("%d %d %s\n", strcmp(text, "hello"), (int)strlen(text), strstr(text, "3.1"));
    return 3;
}
"""


def commands(n):
    """(name, words, standard input): n scales the work."""
    python = "/usr/bin/python3.11"
    many = "".join("%d %s\n" % (i * 7919 % 10007, hex(i * i)) for i in range(400 * n)).encode()
    openssl = "/usr/bin/openssl"
    key, iv = "00112233445566778899aabbccddeeff" * 2, "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
    yield "bash", ["/bin/bash", "bash.sh", str(300 * n)], None
    yield "python3", [python, "-S", "-E", "python.py", str(800 * n)], None
    yield "perl", ["/usr/bin/perl", "perl.pl", str(4000 * n)], None
    yield "sqlite3", ["/usr/bin/sqlite3", ":memory:"], (SQL % {"n": 1500 * n}).encode()
    yield "tcc", ["/usr/bin/tcc", "-o", "compiled", "program.c", "-lm"], None
    yield "what tcc made", ["./compiled", str(3000 * n)], None
    yield "sort -n", ["/usr/bin/sort", "-n"], many
    yield "sort -k2", ["/usr/bin/sort", "-s", "-k2.3,2.5", "-r"], many
    for tool in ("md5sum", "sha1sum", "sha256sum", "sha512sum", "b2sum", "cksum", "sum"):
        yield tool, ["/usr/bin/" + tool], many
    yield "factor", ["/usr/bin/factor", "18446744073709551557", "1000000016000000063", "600851475143"], None
    yield "base64", ["/usr/bin/base64", "-w", "61"], many
    yield "od", ["/usr/bin/od", "-A", "x", "-t", "fD", "-N", str(800 * n)], many
    yield "wc", ["/usr/bin/wc"], many
    yield "tr", ["/usr/bin/tr", "a-f0-9", "A-F5-90-4"], many
    yield "seq", ["/usr/bin/seq", "-f", "%.3g", "0.1", "0.7", str(100 * n)], None
    yield "numfmt", ["/usr/bin/numfmt", "--to=iec", "123456789", "999", "1e15"], None
    yield "tac", ["/usr/bin/tac"], many
    for digest in ("sha256", "sha1", "sha3-384", "blake2b512", "md5", "sm3"):
        yield "openssl " + digest, [openssl, "dgst", "-" + digest], many
    for cipher in ("aes-256-cbc", "aes-128-ctr", "chacha20", "camellia-256-cbc"):
        size = 64 if "256" in cipher or cipher == "chacha20" else 32
        yield "openssl " + cipher, [openssl, "enc", "-" + cipher, "-K", key[:size], "-iv", iv], many
    yield "openssl prime", [openssl, "prime", "170141183460469231731687303715884105727", "561"], None
    yield "openssl ed25519", [openssl, "pkeyutl", "-sign", "-inkey", "ed25519.pem", "-rawin", "-in",
                              "program.c"], None
    yield "openssl ec", [openssl, "pkey", "-in", "ec.pem", "-pubout"], None
    yield "zstd", ["/usr/bin/zstd", "-q", "-c", "-9", "--single-thread"], many
    yield "zstd -19", ["/usr/bin/zstd", "-q", "-c", "-19", "--single-thread"], many[:40000]
    yield "unzstd", ["/usr/bin/zstd", "-q", "-d", "-c", "packed.zst"], None


# stress-ng checks its own results; the clock is in what it prints.
STRESS = [
    ("cpu", "--cpu 1 --cpu-method all --cpu-ops %d --verify", 70),
    ("memory", "--memcpy 1 --memcpy-ops %d --verify", 3),
    ("memory rate", "--stream 1 --stream-ops %d --stream-l3-size 256K --verify", 1),
    ("vm", "--vm 1 --vm-bytes 4m --vm-ops %d --vm-keep --verify", 400),
    ("vector", "--vecmath 1 --vecmath-ops %d --verify", 5),
    ("floating point", "--fp 1 --fp-ops %d --verify", 10),
    ("atomics", "--atomic 2 --atomic-ops %d --verify", 20),
]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """The folder that the commands run in, with their files."""
    if not (ROOT / "bin/bash").exists():
        pytest.fail("%s is missing: run scripts/guest-userland.sh" % ROOT, pytrace=False)
    folder = tmp_path_factory.mktemp("work")
    for name, text in (("bash.sh", BASH), ("python.py", PYTHON), ("perl.pl", PERL),
                       ("program.c", C_PROGRAM)):
        (folder / name).write_text(text)
    openssl = shutil.which("openssl")
    assert openssl, "openssl is missing: run scripts/setup.sh check"
    for name, algorithm in (("ed25519.pem", ["-algorithm", "ED25519"]),
                            ("ec.pem", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])):
        subprocess.run([openssl, "genpkey", *algorithm, "-out", folder / name], check=True)
    return folder


def peer(words, stdin, folder):
    """Exit status and output under qemu-aarch64-static."""
    qemu = shutil.which("qemu-aarch64-static")
    assert qemu, "qemu-aarch64-static is missing: run scripts/setup.sh check"
    program = str(ROOT) + words[0] if words[0].startswith("/") else words[0]
    with tempfile.TemporaryFile() as file: # some programs look at what kind of file it is
        file.write(stdin or b"")
        file.seek(0)
        result = subprocess.run(
            [qemu, "-L", ROOT, "-0", words[0], program, *words[1:]], stdin=file, cwd=folder,
            capture_output=True, timeout=600,
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin", "HOME": "/"})
    return result.returncode, result.stdout


def guest_script(all_commands):
    lines = ["busybox mount -t tmpfs tmpfs /tmp", "export LC_ALL=C HOME=/ PATH=/usr/bin:/bin",
             "echo 1 >/proc/sys/debug/exception-trace", "cd /work"]
    for i, (_, words, stdin) in enumerate(all_commands):
        quoted = " ".join("'%s'" % word for word in words)
        lines.append("%s <%s >/tmp/out 2>/tmp/err; echo \"r%d: $? $(busybox sha256sum </tmp/out) "
                     "$(busybox head -c %d /tmp/out | busybox base64 -w 0) "
                     "$(busybox head -c 300 /tmp/err | busybox base64 -w 0)\"" % (
                         quoted, "in%d" % i if stdin else "/dev/null", i, SHOWN))
    return "\n".join(lines) + "\n"


def archive(folder, name, out):
    """A cpio archive of a folder, its files below `name`."""
    listing = subprocess.run(["find", name, "-mindepth", "0"], cwd=folder, capture_output=True, text=True,
                             check=True).stdout
    with open(out, "wb") as file:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=folder,
                       input=listing.encode(), stdout=file, check=True)
    return out


def full_initrd(script, initrd, work, folder):
    """The tests' initramfs with Debian's programs and the work folder behind it."""
    out = folder / "userland.cpio"
    parts = [initrd(script), archive(ROOT, ".", folder / "root.cpio"),
             archive(work.parent, work.name, folder / "work.cpio")]
    with open(out, "wb") as file:
        for part in parts:
            file.write(open(part, "rb").read())
    return out


def check_kernel_log(text):
    assert not re.search(r"undefined instruction|unhandled|Oops|BUG:|segfault|SIGILL", text), text


def test_programs(memvisor, initrd, work, tmp_path):
    everything = list(commands(20 if LONG else 2))
    zstd = next(c for c in everything if c[0] == "zstd")
    (work / "packed.zst").write_bytes(peer(zstd[1], zstd[2], work)[1])
    for i, (_, _, stdin) in enumerate(everything):
        if stdin:
            (work / ("in%d" % i)).write_bytes(stdin)
    script = guest_script(everything).replace("/work", "/" + work.name)
    result = memvisor.boot(full_initrd(script + "dmesg | tail -n 20\n", initrd, work, tmp_path),
                           "-m", "1G", timeout=1500 if LONG else 200)
    assert result.code == 0, result
    wrong = []
    for i, (name, words, stdin) in enumerate(everything):
        status, output = peer(words, stdin, work)
        got = re.search(r"^r%d: (\d+) (\w+)  - (\S*) ?(\S*)\r?$" % i, result.out, re.M)
        if not got:
            wrong.append("%s: printed nothing" % name)
        elif int(got[1]) != status or got[2] != hashlib.sha256(output).hexdigest():
            wrong.append("%s: status %s, %s\n    expected %d, %s\n    errors: %s" % (
                name, got[1], base64.b64decode(got[3]), status, output[:SHOWN],
                base64.b64decode(got[4])))
    assert not wrong, "%d differ:\n%s\n%s" % (len(wrong), "\n".join(wrong), result.out[-3000:])
    check_kernel_log(result.out)


def test_stressors(memvisor, initrd, work, tmp_path):
    script = "busybox mount -t tmpfs tmpfs /tmp\nexport PATH=/usr/bin:/bin\ncd /tmp\n" + "".join(
        "stress-ng %s >/tmp/out 2>&1; echo 'stress %s:' $?; busybox grep -iE 'fail|error' /tmp/out\n"
        % (options % (count * (20 if LONG else 1)), name) for name, options, count in STRESS)
    result = memvisor.boot(full_initrd(script + "dmesg | tail -n 20\n", initrd, work, tmp_path),
                           "-m", "1G", "-c", "2", timeout=3000 if LONG else 200)
    assert result.code == 0, result
    for name, _, _ in STRESS:
        assert result.value("stress " + name) == "0", "%s: %s" % (name, result)
    assert "fail:" not in result.out, result
    check_kernel_log(result.out)
