"""The order in which the application stops."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from govid.bus import Module
from govid.gateway import app
from govid.gateway.settings import load_from_environment


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


@pytest.mark.parametrize(("demonstration", "seconds"), [(True, 0), (False, 20)])
def test_only_a_server_of_production_drains(
    tmp_path: Path, demonstration: bool, seconds: float
) -> None:
    settings = load_from_environment(
        {
            "GOVID_DATABASE_URL": "postgresql://x@127.0.0.1:1/none",
            "GOVID_PSEUDONYM_KEY": "a key for tests, 32 bytes or more",
            "GOVID_DATA_DIR": tmp_path,
            "GOVID_DRAIN_SECONDS": 20,
        },
        demonstration=demonstration,
        env_file=None,
    )
    assert app.create_app(settings).drain.seconds == seconds
