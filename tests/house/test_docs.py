# SPDX-License-Identifier: Apache-2.0
"""Words and code agree: man pages are well formed, links lead somewhere, and
`memvisor help`, the man page and the completion know the same options."""
import re
import subprocess

import pytest

import harness

MAN = sorted((harness.TOP / "docs/man").glob("*.1"))
COMPLETION = harness.TOP / "data/completion/memvisor"


@pytest.mark.parametrize("page", MAN, ids=lambda page: page.name)
def test_man_page_is_well_formed(page):
    lint = harness.run(["mandoc", "-Tlint", "-Wwarning", page])
    assert (lint.code, lint.out) == (0, "")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page):
    text = (harness.TOP / page).read_text()
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
    assert links
    missing = [link for link in links
               if not re.match(r"https?:", link) and not (harness.TOP / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_make_goals_exist(page):
    text = (harness.TOP / page).read_text()
    goals = set(re.findall(r"`(?:[A-Z_]+=\S+ )*make ([a-z][a-z-]*)", text))
    goals |= set(re.findall(r"^\$? *make ([a-z][a-z-]*)", text, re.M))
    assert goals
    makefile = (harness.TOP / "Makefile").read_text()
    assert not [goal for goal in goals if not re.search(r"^[^#\n]*\b%s\b[^=\n]*:" % goal, makefile, re.M)]
