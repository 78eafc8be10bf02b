# SPDX-License-Identifier: Apache-2.0
"""Whether state tables carry all of the structs that a running machine is made of.

Read from a program's debug information (DWARF, by pyelftools) and its data: the
members of structs, and `struct mv_state_table` with what it points to.  A member is
accounted for where a field of a table carries it, or where a text file says why no
save needs it, a line each:

    struct.member: reason
    struct.member: as other.member      where that is in a table, and set from this one
    struct.*: reason                    for a struct whose objects hold no state at all
"""
import re

from elftools.elf.elffile import ELFFile

# Whose objects make a machine, beside those that have tables: what has one of the first
# as a member is one too.  Their members are told one by one.
HANDLES = {"mv_device", "mv_pci_function", "mv_irqchip", "mv_engine", "mv_vcpu"}

# Bytes of an element, by enum mv_state_type.
SIZES = (1, 1, 2, 4, 8)


class Program:
    """Structs, state tables and the data that they point to, of one ELF file."""

    def __init__(self, path, is_unit_wanted):
        self.file = open(path, "rb")
        self.elf = ELFFile(self.file)
        self.dwarf = self.elf.get_dwarf_info()
        self.pointers = {}
        for section in self.elf.iter_sections():
            if section["sh_type"] == "SHT_RELA":
                for entry in section.iter_relocations():
                    if not entry["r_info_sym"]:
                        self.pointers[entry["r_offset"]] = entry["r_addend"]
        self.structs = {}  # name: [(file, DIE)], each definition once
        self.tables = {}  # the object's C type: the fields' byte ranges of all its tables
        self.tables_seen = 0
        self.layouts = {}
        for unit in self.dwarf.iter_CUs():
            top = unit.get_top_DIE()
            name = top.attributes.get("DW_AT_name")
            if name and is_unit_wanted(name.value.decode()):
                self._read_unit(unit, top)

    # --- structs

    def _read_unit(self, unit, top):
        files = self._file_names(unit)
        for die in top.iter_children():
            if die.tag == "DW_TAG_structure_type":
                name, declared = _text(die, "DW_AT_name"), die.attributes.get("DW_AT_decl_file")
                if not name or "DW_AT_declaration" in die.attributes or not declared:
                    continue
                where = (files[declared.value], die.attributes["DW_AT_decl_line"].value)
                known = self.structs.setdefault(name, {})
                known.setdefault(where, die)
            elif die.tag == "DW_TAG_variable":
                self._read_variable(die)

    def _file_names(self, unit):
        program = self.dwarf.line_program_for_CU(unit)
        entries = program["file_entry"]
        names = [entry.name.decode() for entry in entries]
        folders = [folder.decode() if isinstance(folder, bytes) else str(folder)
                   for folder in program["include_directory"]]
        if program["version"] >= 5:
            return {i: folders[entry.dir_index] + "/" + names[i] for i, entry in enumerate(entries)}
        return {i + 1: (folders[entry.dir_index - 1] + "/" if entry.dir_index else "") + names[i]
                for i, entry in enumerate(entries)}

    def plain(self, die):
        """A type without its names and qualifiers; None for void."""
        while die is not None and die.tag in ("DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_atomic_type",
                                              "DW_TAG_volatile_type", "DW_TAG_restrict_type"):
            die = die.get_DIE_from_attribute("DW_AT_type") if "DW_AT_type" in die.attributes else None
        return die

    def member_type(self, die):
        """The type of a member or variable, and of an array's elements; how many there are."""
        kind, count = self.plain(die.get_DIE_from_attribute("DW_AT_type")), 1
        while kind is not None and kind.tag == "DW_TAG_array_type":
            for part in kind.iter_children():
                if part.tag != "DW_TAG_subrange_type":
                    continue
                if "DW_AT_count" in part.attributes:
                    count *= part.attributes["DW_AT_count"].value
                elif "DW_AT_upper_bound" in part.attributes:
                    count *= part.attributes["DW_AT_upper_bound"].value + 1
                else:
                    count = 0
            kind = self.plain(kind.get_DIE_from_attribute("DW_AT_type"))
        return kind, count

    def members(self, die):
        """(name, offset, DIE of the member); those of structs without a name are the outer's."""
        for child in die.iter_children():
            if child.tag != "DW_TAG_member":
                continue
            place = child.attributes.get("DW_AT_data_member_location")
            offset, name = place.value if place else 0, _text(child, "DW_AT_name")
            if name:
                yield name, offset, child
            else:
                for inner, at, member in self.members(self.member_type(child)[0]):
                    yield inner, offset + at, member

    def size(self, kind):
        if kind is None:
            return 0
        if kind.tag == "DW_TAG_pointer_type":
            return 8
        return kind.attributes["DW_AT_byte_size"].value

    # --- data

    def bytes_at(self, address, size):
        for segment in self.elf.iter_segments():
            start = segment["p_vaddr"]
            if segment["p_type"] == "PT_LOAD" and start <= address < start + segment["p_filesz"]:
                self.file.seek(segment["p_offset"] + address - start)
                return self.file.read(size)
        raise ValueError("nothing at 0x%x" % address)

    def number(self, address, size):
        if address in self.pointers:
            return self.pointers[address]
        return int.from_bytes(self.bytes_at(address, size), "little")

    def string(self, address):
        text = b""
        while b"\0" not in text:
            text += self.bytes_at(address + len(text), 16)
        return text[:text.index(b"\0")].decode()

    def record(self, die, address):
        """A struct's scalars, as numbers, by name."""
        if die.offset not in self.layouts:
            self.layouts[die.offset] = [(name, offset, self.size(self.member_type(member)[0]))
                                        for name, offset, member in self.members(die)]
        return {name: self.number(address + offset, size)
                for name, offset, size in self.layouts[die.offset]}

    def _read_variable(self, die):
        declaration = die
        if "DW_AT_specification" in die.attributes:
            declaration = die.get_DIE_from_attribute("DW_AT_specification")
        if "DW_AT_type" not in declaration.attributes or "DW_AT_location" not in die.attributes:
            return
        kind = self.plain(declaration.get_DIE_from_attribute("DW_AT_type"))
        if kind is None or _text(kind, "DW_AT_name") != "mv_state_table":
            return
        table = self.record(kind, self._address(die))
        field_type = [self.plain(self.plain(member.get_DIE_from_attribute("DW_AT_type"))
                                 .get_DIE_from_attribute("DW_AT_type"))
                      for name, _, member in self.members(kind) if name == "fields"][0]
        owner = self.string(table["object"]).replace("struct ", "")
        ranges = self.tables.setdefault(owner, [])
        self.tables_seen += 1
        for i in range(table["field_count"]):
            field = self.record(field_type, table["fields"] + i * self.size(field_type))
            ranges.append((field["offset"], field["stride"], field["count"], SIZES[field["type"]]))

    def _address(self, die):
        expression = die.attributes["DW_AT_location"].value
        if expression[0] == 0x03:  # DW_OP_addr
            return int.from_bytes(bytes(expression[1:9]), "little")
        assert expression[0] == 0xa1, "DW_OP_addrx"
        index, shift = 0, 0
        for byte in expression[1:]:
            index |= (byte & 0x7f) << shift
            shift += 7
        return self.dwarf.get_addr(die.cu, index)


def _text(die, attribute):
    value = die.attributes.get(attribute)
    return value.value.decode() if value else None


class Coverage:
    """What is wrong with a program's tables and a text of reasons: `problems`, a line each."""

    def __init__(self, program, reasons, is_ours):
        """is_ours(file): whether a struct that is declared there is to be accounted for."""
        self.program, self.reasons, self.is_ours = program, _parse(reasons), is_ours
        self.problems, self.used, self.carried = [], set(), set()
        self.told_by_member = set()  # structs that no wildcard may stand for
        self.visited, self.missing = set(), set()
        self._walk()

    def find(self, name):
        """All definitions of a struct, of which each file may have its own."""
        return list(self.program.structs.get(name, {}).items())

    def _walk(self):
        program = self.program
        handles = {name for name in program.structs if self._has_handle(name)}
        parts = {inner for name in program.structs for inner in self._parts(name)}
        for name in sorted((handles - parts) | set(program.tables)):
            for where, die in self.find(name):
                if name in program.tables or self.is_ours(where[0]):
                    self._visit(die, name, 0, program.tables.get(name, []), (), True)
        for name in sorted(program.structs):
            for where, die in self.find(name):
                if self.is_ours(where[0]) and name not in self.visited:
                    self._visit(die, name, 0, [], (), False)
        for key, reason in self.reasons.items():
            other = re.match(r"as (\w+\.\w+)", reason)
            if other and other.group(1) not in self.carried:
                self.problems.append("%s: %s is in no state table" % (key, other.group(1)))
            if key not in self.used:
                self.problems.append("%s is in the list, and there is no such member that a table lacks" % key)
            elif key.endswith(".*") and key[:-2] in self.told_by_member:
                self.problems.append("%s: its members are a machine's state: tell them one by one" % key)

    def _parts(self, name):
        """The structs that are members of this one."""
        for _, die in self.find(name):
            for _, offset, member in self.program.members(die):
                kind, _ = self.program.member_type(member)
                if kind is not None and kind.tag == "DW_TAG_structure_type":
                    yield _text(kind, "DW_AT_name")

    def _has_handle(self, name):
        return not HANDLES.isdisjoint(self._parts(name)) or name in HANDLES

    def _visit(self, die, name, base, ranges, outer, is_root):
        """The members of a struct at `base` of an object whose table has these ranges."""
        program = self.program
        self.visited.add(name)
        if is_root:
            self.told_by_member.add(name)
        for member, offset, member_die in program.members(die):
            key, at = "%s.%s" % (name, member), base + offset
            kind, count = program.member_type(member_die)
            inner = _text(kind, "DW_AT_name") if kind is not None else None
            reason = self._reason(key)
            if kind is not None and kind.tag == "DW_TAG_structure_type" and inner in program.structs and not reason:
                if any(self.is_ours(where[0]) for where, _ in self.find(inner)):
                    self._visit(kind, inner, at, ranges, outer + (key,), is_root)
                    continue
            size = program.size(kind) * max(count, 1)
            if _carries(ranges, at, size):
                self.carried.add(key)
                if key in self.reasons:
                    self.problems.append("%s is in the list, and a table carries it" % key)
            elif not reason and key not in self.missing:
                self.missing.add(key)
                self.problems.append("%s is in no state table, and has no reason for that in the list" % key)

    def _reason(self, key):
        for name in (key, key.split(".")[0] + ".*"):
            if name in self.reasons:
                self.used.add(name)
                return self.reasons[name]
        return None


def _carries(ranges, at, size):
    """Whether elements of fields make up all of these bytes."""
    missing = bytearray(b"\1" * size)
    for offset, stride, count, width in ranges:
        if stride == width:  # one run
            stride, width, count = stride * count, width * count, 1
        first = max(0, (at - offset - width) // stride)
        for i in range(first, min(count, (at + size - offset) // stride + 1)):
            start = offset + i * stride - at
            if start < size and start + width > 0:
                missing[max(start, 0):start + width] = bytes(min(start + width, size) - max(start, 0))
    return not any(missing)


def _parse(text):
    reasons = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        found = re.fullmatch(r"(\w+\.(?:\w+|\*)): (\S.*)", line)
        assert found, "no 'struct.member: reason': %r" % line
        assert found.group(1) not in reasons, "twice: %r" % line
        reasons[found.group(1)] = found.group(2)
    return reasons
