# SPDX-License-Identifier: Apache-2.0
"""Rooms hold by construction: what docs/DESIGN.md's table forbids a room to include
does not compile there, with the flags that the build compiles it with."""
import collections
import json
import pathlib
import re
import shlex
import subprocess

import pytest

import harness

SOURCE = harness.TOP / "src"
ROOMS = sorted(path.name for path in SOURCE.iterdir() if path.is_dir())
HEADERS = {room: sorted((SOURCE / room).rglob("*.h")) for room in ROOMS}


def read_table():
    """The table: what a room may include; `engine.h` among it is that header alone."""
    text = (harness.TOP / "docs/DESIGN.md").read_text()
    table = text[text.index("| room | what lives there | may include |"):].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {room: [row[0] for row in rows if row[0] != room] if may == "all" else
            re.findall(r"[\w.]+", may) for room, _, may in rows}


TABLE = read_table()


def includes(path):
    return re.findall(r'^ *# *include "([^"]+)"', path.read_text(), re.M)


def may_see(room):
    """The headers that the table lets a room include, its own left out."""
    return {path for word in TABLE[room] for path in HEADERS.get(word.removesuffix(".h"), ())
            if not word.endswith(".h") or path.name == word}


def used_most(room):
    """The header of a room that other rooms include most often."""
    count = collections.Counter(
        pathlib.Path(name).name for other in ROOMS if other != room
        for path in (SOURCE / other).rglob("*.[ch]") for name in includes(path))
    return max(HEADERS[room], key=lambda path: count[path.name])


@pytest.fixture(scope="module")
def flags(memvisor):
    """flags(room): every folder and definition that a file of the room is compiled with."""
    commands = json.loads((memvisor.path.parent / "compile_commands.json").read_text())

    def of(room):
        found = {}
        for command in commands:
            folder = pathlib.Path(command["directory"])
            if (SOURCE / room) in (folder / command["file"]).resolve().parents:
                words = shlex.split(command["command"])
                found.update(("-I%s" % (folder / word[2:]).resolve(), None) if word[:2] == "-I"
                             else (word, None) for word in words if re.match("-[IDf]|-std", word))
        assert found, room
        return list(found)
    return of


def compile_text(text, flags, *options):
    return subprocess.run(["cc", *flags, *options, "-x", "c", "-"], input=text, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120 * harness.PATIENCE)


def test_the_table_has_a_row_for_each_room():
    assert set(ROOMS) <= set(TABLE)
    assert {word for words in TABLE.values() for word in words} <= set(TABLE) | {"engine.h"}


def test_a_name_stands_for_one_header():
    """Else an include that is forbidden could find another of the name."""
    count = collections.Counter(path.name for paths in HEADERS.values() for path in paths)
    assert [name for name, number in count.items() if number > 1] == []


def test_no_include_climbs_out_of_its_room():
    climbs = ["%s: %s" % (path, name) for path in SOURCE.rglob("*.[ch]") for name in includes(path)
              if ".." in name.split("/") or name.startswith("/")]
    assert climbs == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_finds_no_header_that_it_may_not_include(room, flags):
    """By each name that could lead there, such as emulator/cpu.h and cpu.h."""
    names = [(path, "/".join(path.parts[-length:])) for other in ROOMS if other != room
             for path in HEADERS[other] for length in range(1, len(path.relative_to(SOURCE).parts) + 1)]
    text = "\n".join('#if __has_include("%s")\nfound %d\n#endif' % (name, number)
                     for number, (_, name) in enumerate(names))
    made = compile_text(text, flags(room), "-E", "-P", "-nostdinc")
    assert made.returncode == 0, made.stderr
    found = {names[int(number)][0] for number in re.findall(r"^found (\d+)$", made.stdout, re.M)}
    assert [str(path) for path in sorted(found - may_see(room))] == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_wrong_include_does_not_compile_and_a_right_one_does(room, flags):
    may = may_see(room)
    for other in ROOMS:
        if other == room:
            continue
        header = used_most(other)
        made = compile_text('#include "%s"\n' % header.name, flags(room), "-fsyntax-only")
        if header in may:
            assert made.returncode == 0, (room, header, made.stderr)
        else:
            assert made.returncode != 0, (room, header)
            assert "%s: No such file" % header.name in made.stderr, made.stderr
