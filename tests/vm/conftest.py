# SPDX-License-Identifier: Apache-2.0
"""The bare-metal guest that touches memory as it is told, for all tests of this folder."""
import pytest

from memory_guest import Guest, build


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return build(tmp_path_factory.mktemp("guest"))


@pytest.fixture
def guest(memvisor, binary, tmp_path):
    """guest(option, ...): a Guest in a folder of its own."""
    def start(*options, **keywords):
        return Guest(memvisor, tmp_path, *options, binary=binary, **keywords)
    return start
