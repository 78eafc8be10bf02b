#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""test-results.py FOLDER NAME=CODE...

Says how the tests of check.sh ended.  FOLDER holds NAME.xml for each program
that ran tests, in JUnit's format, as Meson and pytest write it; CODE is what the
program ended with.  Prints why tests were skipped, the name of each that failed,
and last, alone on its line, "N passed, N failed, N skipped" (the failed and that
line go to FOLDER/summary as well).  Ends with 1 when anything failed, also when a
program failed and no test of it did, or left no results behind."""
import collections
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

NO_TEST_MATCHES = 5  # pytest's word for it


class Results:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = collections.Counter()

    def add(self, name, case):
        """A test that fails and whose teardown then fails too is one test."""
        kinds = {child.tag: child for child in case}
        if "failure" in kinds or "error" in kinds:
            if name not in self.failed:
                self.failed.append(name)
        elif "skipped" in kinds:
            self.skipped[name, kinds["skipped"].get("message") or "no reason given"] += 1
        else:
            self.passed += 1

    def count(self):
        return self.passed + len(self.failed) + sum(self.skipped.values())

    def counts(self):
        return "%d passed, %d failed, %d skipped" % (
            self.passed, len(self.failed), sum(self.skipped.values()))


def name_of(case):
    """What pytest takes to run this test; for a unit test its suite and name."""
    name = case.get("name")
    if case.get("file"):
        classes = case.get("classname", "").split(".")
        module = pathlib.PurePath(case.get("file")).with_suffix("").parts
        if name == ".".join(module):  # a file that does not load
            return case.get("file")
        return "::".join([case.get("file"), *classes[len(module):], name])
    suite = case.get("classname", "").split(":")[-1]
    return "%s:%s" % (suite, name) if suite else name


def read(results, folder, program, code):
    """Adds the results of one program."""
    path = folder / (program + ".xml")
    before, failed = results.count(), len(results.failed)
    try:
        for case in ElementTree.parse(path).iter("testcase"):
            results.add(name_of(case), case)
    except (OSError, ElementTree.ParseError) as error:
        results.failed.append("%s: ended with code %d and left no results: %s" % (program, code, error))
        return
    none = results.count() == before
    if code != 0 and len(results.failed) == failed and not (none and code == NO_TEST_MATCHES):
        results.failed.append("%s: ended with code %d though none of its tests failed" % (program, code))


def main(folder, *programs):
    folder = pathlib.Path(folder)
    results = Results()
    for program in programs:
        name, code = program.split("=")
        read(results, folder, name, int(code))
    if programs and results.count() == 0:
        results.failed.append("no test matches what was asked for")
    for (name, reason), times in results.skipped.items():
        print("SKIPPED %s%s: %s" % (name, " (%d times)" % times if times > 1 else "", reason))
    summary = ["FAILED %s" % name for name in results.failed] + [results.counts()]
    print("\n".join(summary))
    (folder / "summary").write_text("\n".join(summary) + "\n")
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
