# SPDX-License-Identifier: Apache-2.0
"""check.sh's end: which tests failed, why some were skipped, and one line of counts.
It runs a small tree of tests, with Meson's part taken by a stub."""
import fcntl
import os
import shutil
import subprocess
import textwrap
import time

import pytest

import harness

JUNIT = """<?xml version='1.0' encoding='utf8'?>
<testsuites tests="3" errors="0" failures="1">
<testsuite name="tree:unit" tests="3" errors="0" failures="1" skipped="1" time="1">
<testcase name="bank" classname="tree:unit" time="1" />
<testcase name="block" classname="tree:unit" time="1"><failure message="exit 1" /></testcase>
<testcase name="size" classname="tree:unit" time="1"><skipped /></testcase>
</testsuite></testsuites>
"""
MESON = """while [ "$1" != -C ]; do shift; done
cp "$0.xml" "$2/meson-logs/testlog.junit.xml"
exit $(cat "$0.code")"""


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


class Tree:
    def __init__(self, top):
        self.top = top
        shutil.copytree(harness.TOP / "scripts", top / "scripts")
        for folder in ("house", "vm", "bare", "interop", "fuzz"):
            (top / "tests" / folder).mkdir(parents=True)
        for name in ("conftest.py", "harness.py"):
            shutil.copy(harness.TOP / "tests" / name, top / "tests")
        (top / "build/meson-logs").mkdir(parents=True)
        (top / "bin").mkdir()
        (top / "bin/meson").write_text("#!/bin/sh\n" + MESON)
        (top / "bin/meson").chmod(0o755)
        self.units(JUNIT, 1)

    def units(self, xml, code):
        (self.top / "bin/meson.xml").write_text(xml)
        (self.top / "bin/meson.code").write_text(str(code))

    def tests(self, folder, name, text):
        (self.top / "tests" / folder / name).write_text(textwrap.dedent(text))

    def check(self, *options, workers=0):
        return harness.run(self.command(workers) + list(options), timeout=120)

    def command(self, workers=0):
        env = {name: value for name, value in os.environ.items()
               if not name.startswith(("PYTEST", "MEMVISOR_TURN"))}
        env["MEMVISOR_WORKERS"] = str(workers)
        env["PATH"] = "%s:%s" % (self.top / "bin", env["PATH"])
        env["TMPDIR"] = self.top  # what it locks, which another check may have locked above
        return ["env", "-i", *["%s=%s" % word for word in env.items()],
                self.top / "scripts/check.sh", "build"]


def end_of(result):
    """The lines behind the word that the results follow."""
    return result.out.split("== results\n")[1].splitlines()


def test_results(tree):
    """Failures in a call, before it and after it, in a module that does not load, under both
    turns; what has two in one test is one."""
    tree.tests("vm", "test_a.py", """
        import pytest

        @pytest.fixture
        def broken():
            assert False

        @pytest.fixture
        def breaks_later():
            yield
            assert False

        def test_good(): pass
        def test_bad(): assert False
        def test_before(broken): pass
        def test_twice(breaks_later): assert False
        @pytest.mark.parametrize("n", [1, 2])
        def test_each(n): assert n == 1
        def test_not_here(): pytest.skip("no such device")

        class TestInside:
            def test_method(self): assert False

        @pytest.mark.alone
        def test_by_itself(): assert False
        """)
    tree.tests("bare", "test_b.py", "import no_such_module\n")
    tree.tests("fuzz", "test_c.py", "def test_also_good(): pass\n")
    result = tree.check(workers=2)
    assert result.code == 1
    *names, counts = end_of(result)
    assert counts == "4 passed, 8 failed, 2 skipped"
    # Two workers, so in no order.
    assert sorted(names) == sorted([
        "SKIPPED unit:size: no reason given",
        "SKIPPED tests/vm/test_a.py::test_not_here: no such device",
        "FAILED unit:block",
        "FAILED tests/vm/test_a.py::test_bad",
        "FAILED tests/vm/test_a.py::test_before",
        "FAILED tests/vm/test_a.py::test_twice",
        "FAILED tests/vm/test_a.py::test_each[2]",
        "FAILED tests/vm/test_a.py::TestInside::test_method",
        "FAILED tests/bare/test_b.py",
        "FAILED tests/vm/test_a.py::test_by_itself"])
    assert (tree.top / "build/test-results/summary").read_text() == "\n".join(
        end_of(result)[2:]) + "\n"


def test_all_is_well(tree):
    tree.units(JUNIT.replace('<failure message="exit 1" />', ""), 0)
    tree.tests("vm", "test_a.py", "def test_good(): pass\n")
    result = tree.check()
    assert result.code == 0, result
    assert end_of(result)[-1] == "3 passed, 0 failed, 1 skipped"


def test_another_check_has_the_machine(tree):
    """Those that are alone wait until it is done with its own."""
    tree.units("<testsuites />", 0)
    tree.tests("vm", "test_a.py", """
        import pathlib
        import pytest

        @pytest.mark.alone
        def test_alone(): pathlib.Path("alone").touch()
        """)
    other = os.open(tree.top, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with subprocess.Popen(tree.command(), stdout=subprocess.PIPE, text=True) as check:
        for line in check.stdout:
            if "wait for those of another check" in line:
                break
        else:
            pytest.fail("it did not wait")
        time.sleep(0.5)
        assert not (tree.top / "alone").exists()
        os.close(other)
        assert "1 passed, 0 failed, 0 skipped" in check.stdout.read()
    assert (tree.top / "alone").exists()


def test_a_program_that_dies_has_failed(tree):
    """Not one test of it did."""
    tree.units("<testsuites>", 1)
    tree.tests("vm", "test_a.py", "import os\nos._exit(9)\n")
    result = tree.check()
    assert result.code == 1
    *failed, counts = end_of(result)
    assert any(line.startswith("FAILED unit: ended with code 1 and left no results") for line in failed)
    assert any(line.startswith("FAILED alone: ") for line in failed), result
    assert counts == "0 passed, %d failed, 0 skipped" % len(failed)


def test_nothing_matches(tree):
    tree.units("<testsuites />", 0)
    tree.tests("vm", "test_a.py", "def test_good(): pass\n")
    result = tree.check("-k", "neither_this_nor_that")
    assert result.code == 1
    assert end_of(result) == ["FAILED no test matches what was asked for",
                              "0 passed, 1 failed, 0 skipped"]
    result = tree.check("-k", "good")
    assert result.code == 0, result
