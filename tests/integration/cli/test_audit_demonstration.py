"""In `govid dev` the commands write entries under the key of the server, which seals them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.bus.harness import wait_until
from tests.integration.cli.conftest import in_thread
from tests.integration.cli.processes import Dev

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


async def test_r22_the_server_seals_what_commands_write(tmp_path: Path) -> None:
    with Dev(tmp_path / ".govid", "--no-seed") as dev:

        def run(*arguments: str) -> Any:
            return dev.run(*arguments)

        assert (await in_thread(run, "seed", "--citizens", "1", "--yes")).code == 0
        assert (await in_thread(run, "audit", "search", "--restricted")).code == 0
        lines: list[dict[str, Any]] = []

        async def is_sealed() -> bool:
            # The last entry is that of this export, which may not be sealed yet.
            exported = await in_thread(run, "audit", "export", "--since", "1h")
            lines[:] = [json.loads(line) for line in exported.stdout.splitlines()]
            return None not in [one["index"] for one in lines[:-1]]

        await wait_until(is_sealed)
        assert [one["index"] for one in lines[:-1]] == list(range(len(lines) - 1))
        assert "audit.entry_refused" not in dev.stderr()
