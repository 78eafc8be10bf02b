# SPDX-License-Identifier: Apache-2.0
"""The control socket and others' clients: QEMU's own in Python, socat, and what
QEMU itself says of the commands that both have."""
import asyncio
import importlib
import json
import shutil
import subprocess
import sys
import time

import pytest

import harness
from ivshmem import reference_tools
from qmp import Qmp, Vm


@pytest.fixture
def vm(memvisor, tmp_path):
    with Vm(memvisor, tmp_path) as vm:
        yield vm


@pytest.fixture
def qemu_qmp():
    """QEMU's package qemu.qmp."""
    folder = str(reference_tools() / "python")
    sys.path.insert(0, folder)
    try:
        yield importlib.import_module("qemu.qmp")
    finally:
        sys.path.remove(folder)


@pytest.fixture
def qemu(tmp_path):
    """QEMU's own monitor, on a machine that has nothing."""
    path = tmp_path / "qemu.sock"
    with subprocess.Popen(
            ["qemu-system-aarch64", "-M", "none", "-display", "none", "-S", "-qmp",
             # wait=on: else a client that comes while QEMU starts may be greeted twice.
             "unix:%s,server=on,wait=on" % path], stdin=subprocess.DEVNULL) as process:
        try:
            wait_for_socket(path)
            with Qmp(path) as qmp:
                yield qmp
        finally:
            process.kill()


def wait_for_socket(path):
    end = time.monotonic() + 30 * harness.PATIENCE
    while not harness.listens(path):
        assert time.monotonic() < end, "QEMU does not listen at %s" % path
        time.sleep(0.02)


def test_qemus_client(vm, qemu_qmp):
    async def session():
        client = qemu_qmp.QMPClient("test")
        await client.connect(str(vm.rundir / "qmp.sock"))
        with client.listener(("STOP", "RESUME", "RESET")) as events:
            assert (await client.execute("query-status"))["status"] == "running"
            await client.execute("stop")
            event = await asyncio.wait_for(events.get(), 20 * harness.PATIENCE)
            assert event["event"] == "STOP" and event["timestamp"]["seconds"] > 0
            await client.execute("system_reset")
            event = await asyncio.wait_for(events.get(), 20 * harness.PATIENCE)
            assert (event["event"], event["data"]["reason"]) == ("RESET", "host-qmp-system-reset")
            await client.execute("cont")
        with pytest.raises(qemu_qmp.ExecuteError) as why:
            await client.execute("no-such-command")
        assert why.value.error_class == "CommandNotFound"
        # Several at once: answers are matched by their ids.
        blocks, space, status = await asyncio.gather(
            client.execute("x-query-blocks"), client.execute("x-query-space"),
            client.execute("query-status"))
        assert blocks[0]["id"] == "ram0" and space and status["running"]
        await client.execute("quit")
        try:
            await client.disconnect()
        except EOFError:  # the VM was faster
            pass

    asyncio.run(session())
    assert vm.end() == 0


def test_qemus_legacy_client(vm, qemu_qmp):
    legacy = importlib.import_module("qemu.qmp.legacy")
    asyncio.set_event_loop(asyncio.new_event_loop())  # it takes the thread's
    with legacy.QEMUMonitorProtocol(str(vm.rundir / "qmp.sock")) as monitor:
        assert "QMP" in monitor.connect()
        assert monitor.cmd("query-status") == {
            "return": {"running": True, "singlestep": False, "status": "running"}}
        monitor.cmd("stop")
        assert monitor.pull_event(wait=20.0 * harness.PATIENCE)["event"] == "STOP"


def test_socat(vm):
    assert shutil.which("socat"), "socat is missing: run scripts/setup.sh check"
    text = ('{"execute":"qmp_capabilities"}{"execute":"query-status","id":{"a":[1]}}\n'
            '{"execute":"x-query-blocks", "id":"b"}')
    result = harness.run(["socat", "-t5", "-", "UNIX-CONNECT:%s" % (vm.rundir / "qmp.sock")],
                         30, text)
    assert result.code == 0, result
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert "QMP" in lines[0] and lines[1] == {"return": {}}
    assert lines[2]["id"] == {"a": [1]} and lines[3]["id"] == "b"


NUMBERS = ("9223372036854775807", "9223372036854775808", "18446744073709551615",
           "18446744073709551616", "-9223372036854775808", "-9223372036854775809",
           '{"a": [18446744073709551615, "18446744073709551615", 1]}')


def test_large_integers_in_ids_as_qemu(vm, qemu):
    with vm.qmp() as ours:
        for number in NUMBERS:
            ids = []
            for peer in (ours, qemu):
                peer.send(b'{"execute": "query-status", "id": %s}' % number.encode())
                ids.append(peer.answer()["id"])
            assert ids[0] == ids[1] and type(ids[0]) is type(ids[1]), (number, ids)
            assert isinstance(ids[0], float) or ids[0] == json.loads(number), ids


def test_large_integers_as_arguments(vm):
    """Where an unsigned field is: what is wrong is the value, not its type."""
    with vm.qmp() as qmp:
        for key, text in (("val", "there is no memory at 0xffffffffffffffff"),
                          ("size", "too many")):
            values = {"val": 0x80000000, "size": 4096, "filename": "/dev/null", key: 2**64 - 1}
            answer = qmp.command("pmemsave", **values)
            assert answer["error"]["desc"].startswith("'%s': " % key) and \
                text in answer["error"]["desc"], answer
        answer = qmp.command("pmemsave", val=0x80000000, size=4096, filename=2**63)
        assert "'filename': a string" in answer["error"]["desc"]
        answer = qmp.command("device_add", driver="edu", addr=2**64 - 1)
        assert "18446744073709551615" in answer["error"]["desc"], answer
        answer = qmp.command("calc-dirty-rate", calc_time=2**63)
        assert "'calc-time'" in answer["error"]["desc"]
        assert qmp.execute("query-status")["running"]


def test_large_integers_through_the_verb(vm, memvisor):
    """The verb passes them on as they are, in both directions."""
    result = vm.verb("qmp", vm.name, "pmemsave", "val=0xffffffffffffffff", "size=4096",
                     "filename=/dev/null")
    assert result.code == 1 and "no memory at 0xffffffffffffffff" in result.err, result
    text = '{"execute": "query-status", "id": 18446744073709551615}'
    result = vm.verb("qmp", vm.name, stdin=text)
    assert result.code == 0 and '"id": 18446744073709551615' in result.out, result


def resolve(types, name, depth=6):
    """A type of a schema as plain words, without the names of types."""
    kind = types[name]
    meta = kind["meta-type"]
    if meta == "builtin":
        return kind["json-type"]
    if meta == "enum":
        return {"enum": {value["name"] for value in kind["members"]}}
    if meta == "array":
        return [resolve(types, kind["element-type"], depth - 1) if depth else "..."]
    if meta == "alternate":
        return "alternate"
    return {member["name"]: (resolve(types, member["type"], depth - 1) if depth else "...",
                             "default" in member)
            for member in kind["members"]}


def fits(ours, theirs, where):
    """What we have is there in QEMU's, of the same type; enums may know less."""
    if isinstance(ours, dict) and "enum" in ours and isinstance(ours["enum"], set):
        assert ours["enum"] <= theirs["enum"], where
    elif isinstance(ours, dict):
        for name, (kind, optional) in ours.items():
            if name.startswith("x-"):  # an argument of our own
                assert optional, where
                continue
            assert name in theirs, "%s: QEMU has no %s" % (where, name)
            fits(kind, theirs[name][0], "%s %s" % (where, name))
            assert optional == theirs[name][1], "%s: %s is optional in one" % (where, name)
    elif isinstance(ours, list):
        fits(ours[0], theirs[0], where)
    else:
        assert ours == theirs, where


def schema_of(qmp):
    entries = qmp.execute("query-qmp-schema")
    return {entry["name"]: entry for entry in entries}


def test_schema_agrees_with_qemus(vm, qemu):
    with vm.qmp() as qmp:
        ours = schema_of(qmp)
    theirs = schema_of(qemu)
    shared = 0
    for name, entry in ours.items():
        if entry["meta-type"] not in ("command", "event") or name.lower().startswith("x"):
            continue
        peer = theirs[name]
        assert peer["meta-type"] == entry["meta-type"]
        for part in "arg-type", "ret-type":
            if part in entry:
                mine, other = resolve(ours, entry[part]), resolve(theirs, peer[part])
                fits(mine, other, "%s %s" % (name, part))
                # What QEMU's clients must be told, or must tell, is there.
                if isinstance(other, dict) and "enum" not in other:
                    assert {key for key, (_, optional) in other.items() if not optional} <= set(
                        mine), name
        shared += 1
    assert shared >= 20


@pytest.mark.parametrize("request_text", [
    '{"execute": "no-such"}', '{"execute": 1}', '{"execute": "stop", "arguments": 3}',
    '{"arguments": {}}', '{"execute": "stop", "extra": 1}', '[]', '"text"', '3',
    '{"execute": "stop", "arguments": {"x": 1}}', '{"execute": "pmemsave"}', '{"a" 1}', '}',
    '{"execute": "query-status", "id": null}', '{"execute": "query-qmp-schema", "id": [{}, -1.5]}',
    '{"execute": "qmp_capabilities"}', "{'execute': 'query-version'}",
])
def test_answers_as_qemu_does(vm, qemu, request_text):
    """The same kind of answer, of the same class, with the same id."""
    def ask(qmp):
        qmp.send(request_text.encode() + b"\n")
        answer = qmp.answer()
        return (set(answer) - {"timestamp"}, answer.get("error", {}).get("class"),
                answer.get("id"))

    with vm.qmp() as qmp:
        assert ask(qmp) == ask(qemu)
