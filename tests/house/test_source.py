# SPDX-License-Identifier: Apache-2.0
"""What CONTRIBUTING.md asks of every file below src/ and a program can see."""
import re

import harness

FILES = sorted((harness.TOP / "src").rglob("*.[ch]"))


def names(paths):
    return [str(path.relative_to(harness.TOP)) for path in paths]


HEAD = re.compile(r"/\* SPDX-License-Identifier: Apache-2\.0 \*/\n/\*(?!\*).{20,}?\*/\n", re.S)


def has_head(path):
    """A head of its own, or that of the header which it is the code of."""
    text = path.read_text()
    own = path.with_suffix(".h")
    return bool(HEAD.match(text)) or (
        path.suffix == ".c" and own.exists() and bool(HEAD.match(own.read_text()))
        and text.startswith('/* SPDX-License-Identifier: Apache-2.0 */\n#include "%s"\n' % own.name))


def test_each_file_begins_with_its_licence_and_a_head():
    assert len(FILES) > 100
    assert names(path for path in FILES if not has_head(path)) == []


def test_no_file_is_longer_than_500_lines():
    assert names(path for path in FILES if len(path.read_text().splitlines()) > 500) == []


def test_one_word_for_one_thing():
    """To settle is what a space does (mv_space_settle), and nothing else."""
    used = [(path, line) for path in FILES for line in path.read_text().splitlines()
            if re.search(r"\w*settle\w*(?= *\()", line)]
    allowed = r"mv_space_settle|mv_shootdown_settle|\bsettle\b"
    assert used
    assert [(str(path), line) for path, line in used
            if re.sub(allowed, "", line).count("settle")] == []
