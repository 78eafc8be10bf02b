# SPDX-License-Identifier: Apache-2.0
"""Words and code agree: man pages are well formed, links lead somewhere, and
`memvisor help`, the man page and the completion know the same options."""
import re
import subprocess

import pytest

import harness

MAN = sorted((harness.TOP / "docs/man").glob("*.[1357]"))
COMPLETION = harness.TOP / "data/completion/memvisor"


@pytest.mark.parametrize("page", MAN, ids=lambda page: page.name)
def test_man_page_is_well_formed(page):
    lint = harness.run(["mandoc", "-Tlint", "-Wwarning", page])
    assert (lint.code, lint.out) == (0, "")


@pytest.mark.parametrize("page", MAN, ids=lambda page: page.name)
def test_man_page_has_examples_and_our_name(page):
    text = page.read_text()
    assert re.search(r"^\.Sh EXAMPLES\n(?:.*\n){0,3}?\.Bd -literal.*\n.+\n", text, re.M)
    shown = subprocess.run(["mandoc", "-Tascii", page], stdout=subprocess.PIPE, check=True).stdout
    footer = re.sub(".\b", "", shown.decode()).strip().splitlines()[-1]
    assert re.fullmatch(r"memvisor +\w+ \d+, \d+ +memvisor", footer), footer


def man_options(page):
    text = subprocess.run(["mandoc", "-Tascii", page], stdout=subprocess.PIPE, check=True).stdout
    text = re.sub(".\b", "", text.decode())
    # The list's heads stand at one indent, descriptions deeper.
    heads = re.findall(r"^ {5}(-.*)$", text, re.M)
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", " ".join(heads)))


def help_options(memvisor, verb):
    result = memvisor.run("help", verb)
    assert result.code == 0, result
    heads = re.findall(r"^ {1,8}(-.*)$", result.out, re.M)
    assert heads, result
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", " ".join(heads)))


def completed_options(verb):
    script = 'source "$1"; COMP_WORDS=(memvisor "$2" -); COMP_CWORD=2; COMP_LINE="memvisor $2 -"; COMP_POINT=${#COMP_LINE}; _memvisor; echo "${COMPREPLY[@]}"'
    return set(harness.run(["bash", "-c", script, "-", COMPLETION, verb]).out.split())


@pytest.mark.parametrize("verb, some", [
    ("ivshmem-server", {"--size", "--watch", "-v"}), ("ivshmem-client", {"--timeout", "--json"}),
    ("save", {"--live", "--stop", "--json"}), ("send", {"--downtime", "--tls", "--keep"}),
    ("receive", {"--insecure", "--tls", "-n"}), ("restore", {"--ram", "-n", "--memory"}),
    ("fork", {"--count", "-n", "--share"}), ("info", {"--json", "-o", "--diff"})])
def test_options_are_the_same_everywhere(memvisor, verb, some):
    told = help_options(memvisor, verb) - {"-h", "--help"}
    assert some <= told
    page = harness.TOP / ("docs/man/memvisor-%s.1" % verb)
    assert man_options(page) - {"-h", "--help"} == told
    assert completed_options(verb) - {"-h", "--help"} == told


def test_run_options_are_the_same_everywhere(memvisor):
    told = help_options(memvisor, "run")
    assert {"-k", "--kernel", "-m", "--no-reboot"} <= told
    assert man_options(harness.TOP / "docs/man/memvisor-run.1") - {"-h", "--help"} == told - {
        "-h", "--help"}
    assert completed_options("run") - {"-h", "--help"} == told - {"-h", "--help"}


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


def test_verbs_are_the_same_everywhere(memvisor):
    told = memvisor.run("help").out
    told = told[told.index("Verbs:"):told.index("In later versions")]
    verbs = set(re.findall(r"^  (\w[\w-]*)  ", told, re.M))
    assert "run" in verbs
    page = (harness.TOP / "docs/man/memvisor.1").read_text()
    assert set(re.findall(r"^\.It Cm (\S+)", page, re.M)) == verbs
    script = 'source "$1"; COMP_WORDS=(memvisor ""); COMP_CWORD=1; COMP_LINE="memvisor "; COMP_POINT=9; _memvisor; echo "${COMPREPLY[@]}"'
    offered = set(harness.run(["bash", "-c", script, "-", COMPLETION]).out.split())
    assert offered == verbs


def test_message_in_the_rules_is_the_real_one(memvisor):
    text = (harness.TOP / "CONTRIBUTING.md").read_text()
    message, option = re.search(r"^(memvisor: -m (\S+): .*)$", text, re.M).groups()
    result = memvisor.run("run", "-k", "vmlinuz", "-m", option)
    assert (result.code, result.err) == (2, message + "\n")
