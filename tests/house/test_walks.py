# SPDX-License-Identifier: Apache-2.0
"""The five walks of docs/DESIGN.md lead somewhere: each file is there, and each name is
defined in the file that the walk says; and README leads to them."""
import re

import pytest

import harness

DESIGN = (harness.TOP / "docs/DESIGN.md").read_text()
WALKS = dict(re.findall(r"^\*\*(Where .*?)\.\*\*\n((?:\d+\. .*\n)+)",
                        DESIGN[DESIGN.index("\n## Five walks\n"):], re.M))
# A file, or a name and the file that it is in.
FILE = r"src/[\w./-]*\w\.[ch]\b"


def test_there_are_five():
    assert list(WALKS) == ["Where a bank becomes memory", "Where a store reaches a device",
                           "Where a doorbell is rung", "Where a QMP command stands",
                           "Where a saved guest goes on"]


def test_readme_leads_to_them():
    assert "(docs/DESIGN.md#five-walks)" in (harness.TOP / "README.md").read_text()


@pytest.mark.parametrize("walk", WALKS)
def test_a_walk_names_what_is_there(walk):
    steps = WALKS[walk]
    files = re.findall(FILE, steps)
    assert len(files) >= 4
    assert [name for name in files if not (harness.TOP / name).is_file()] == []
    places = re.findall(r"`(mv_\w+)` in (%s)" % FILE, steps)
    assert len(places) >= 3
    for name, file in places:
        # Where it is defined: a function's or a table's line begins with its type.
        assert re.search(r"^(?!extern|static)\w[^;(]*\b%s(\[\])?( = |\([^;]*\)\n\{)" % name,
                         (harness.TOP / file).read_text(), re.M), (name, file)


def test_no_name_stands_without_its_file():
    """It would be checked by nobody."""
    steps = "".join(WALKS.values())
    named = set(re.findall(r"`(mv_\w+)[`(]", steps))
    assert named - set(re.findall(r"`(mv_\w+)` in %s" % FILE, steps)) == set()
