"""`govid simulators`: both departments on one port, and the settings by which they are found."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from govid.bus import SystemClock
from govid.bus.shared.identifiers import ClaimedFacts
from govid.bus.shared.verification import IdentityClaim
from govid.gateway.settings import load_from_environment
from govid.hmrc.clients.factory import build_clients as hmrc_ports
from govid.nhs.clients.factory import build_clients as nhs_ports
from tests.integration.cli.processes import GOVID, environment

JIM = ClaimedFacts(given_name="Jim", family_name="Ferguson", date_of_birth=date(1948, 4, 23))
GARTON = ClaimedFacts(given_name="Bill", family_name="Garton", date_of_birth=date(1946, 6, 23))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Yield what the command prints, while it runs; then stop it by Ctrl-C."""
    with (
        (tmp_path / "simulators.err").open("w") as log,
        subprocess.Popen(
            [*GOVID, "simulators", "--port", "0", "--json"],
            env=environment(tmp_path / "state"),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=log,
            stdin=subprocess.DEVNULL,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        yield json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=15) == 0


async def test_another_govid_finds_both_by_what_is_printed(
    running: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "GOVID_NHS_PRIVATE_KEY_FILE", running["settings"].pop("GOVID_NHS_PRIVATE_KEY_FILE")
    )
    settings = load_from_environment(running["settings"], demonstration=True, env_file=None)
    assert (settings.nhs.registry, settings.hmrc.registry) == ("remote", "remote")
    nhs, hmrc = (
        nhs_ports(settings.nhs, SystemClock(), None),
        hmrc_ports(settings.hmrc, SystemClock(), None),
    )
    patient, taxpayer = await asyncio.gather(
        nhs.registry.verify(IdentityClaim(number="9693632109", facts=GARTON)),
        hmrc.verifier.verify(IdentityClaim(number="AA000003D", facts=JIM)),
    )
    await asyncio.gather(*(stop() for stop in (*nhs.stops, *hmrc.stops)))
    assert (patient.outcome, taxpayer.outcome) == ("match", "match")


@pytest.mark.parametrize(
    ("department", "path", "other", "status"),
    [
        ("nhs", "/oauth2/token", "/oauth/token", 400),
        ("hmrc", "/oauth/token", "/oauth2/token", 415),
    ],
)
def test_each_fails_when_it_is_asked_to_and_the_other_does_not(
    running: dict[str, Any], department: str, path: str, other: str, status: int
) -> None:
    url = running["url"]
    reported = httpx.put(f"{url}/simulator/{department}/fault", content="503", trust_env=False)
    refused = httpx.post(f"{url}{path}", trust_env=False)
    answered = httpx.post(f"{url}{other}", trust_env=False)
    assert (reported.status_code, refused.status_code, answered.status_code) == (204, 503, status)
