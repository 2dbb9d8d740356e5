"""The order in which the application stops."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from govid.bus import Module
from govid.gateway import app


@pytest.fixture
def done() -> list[str]:
    """Return what was done, in order."""
    return []


@pytest.fixture
def components(done: list[str]) -> Any:
    """Return the components of one module, which record their calls."""

    async def note(what: str) -> None:
        done.append(what)

    module = Module(
        name="a module", drains=(partial(note, "drained"),), stops=(partial(note, "stopped"),)
    )
    bus = SimpleNamespace(start=partial(note, "bus starts"), stop=partial(note, "bus stops"))
    return SimpleNamespace(bus=bus, modules=(module,))


async def test_what_is_under_way_ends_before_the_database_is_closed(
    components: Any, done: list[str]
) -> None:
    async with app._run_components(components):
        done.append("serving")
    assert done == ["bus starts", "serving", "drained", "bus stops", "stopped"]
