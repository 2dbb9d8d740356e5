"""E1: access to the metrics of a server in production."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from govid.gateway.schema_version import head_revision
from govid.gateway.settings import Settings
from tests.backends.ports import free_port
from tests.http.client import Client
from tests.http.serving import production

TOKEN = "a token for the scraper, 32 bytes long"
OURS = {"Host": "id.example"}
BY_ADDRESS = {"Host": "10.1.2.3:8000"}


@pytest.fixture
def settings(database_url: str, tmp_path: Path, overrides: dict[str, object]) -> Settings:
    return production(database_url, tmp_path, **overrides)


async def _is_like_nothing(client: Client, headers: dict[str, str]) -> None:
    """Check that `/metrics` is answered like an address that does not exist."""
    found = await client.http.get("/metrics", headers=headers)
    nothing = await client.http.get("/nothing", headers={**headers, **OURS})
    assert found.status_code == 404
    assert found.text.replace("/metrics", "/nothing") == nothing.text
    changing = {"date", "x-correlation-id", "x-process-time-ms", "content-length"}
    assert {k: v for k, v in found.headers.items() if k not in changing} == {
        k: v for k, v in nothing.headers.items() if k not in changing
    }


class TestWithoutAnything:
    """Neither a port nor a token: nothing scrapes it."""

    @pytest.mark.parametrize("authorization", ["", f"Bearer {TOKEN}", "Bearer"])
    async def test_e1_metrics_are_nowhere(self, client: Client, authorization: str) -> None:
        await _is_like_nothing(client, {**OURS, "Authorization": authorization})

    @pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
    async def test_e1_health_stays_public(self, client: Client, path: str) -> None:
        answer = await client.http.get(path, headers=BY_ADDRESS)
        assert answer.status_code == 200
        states = answer.json().get("dependencies", {})
        assert all(state.replace(" ", "").isalpha() for state in states.values())


class TestToken:
    """The service's own port, with a token."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {"GOVID_METRICS_TOKEN": TOKEN}

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    @pytest.mark.parametrize("host", [OURS, BY_ADDRESS])
    async def test_e1_f15_the_token_opens_it_under_any_name(
        self, client: Client, scheme: str, host: dict[str, str]
    ) -> None:
        headers = {**host, "Authorization": f"{scheme} {TOKEN}"}
        answer = await client.http.get("/metrics", headers=headers)
        assert answer.status_code == 200
        assert "govid_build_info" in answer.text

    @pytest.mark.parametrize(
        "authorization", ["", "Bearer", "Bearer x", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN]
    )
    async def test_e1_anything_else_finds_nothing(self, client: Client, authorization: str) -> None:
        await _is_like_nothing(client, {**OURS, "Authorization": authorization})


def _without_changing_values(view: dict[str, Any]) -> dict[str, Any]:
    """Return *view* without its time, and without states, which change while Kafka is tried."""
    return {**view, "timestamp": "", "dependencies": sorted(view.get("dependencies", ()))}


class TestManagementPort:
    """A port of its own."""

    @pytest.fixture
    def port(self) -> int:
        return free_port()

    @pytest.fixture
    def overrides(self, port: int) -> dict[str, object]:
        return {"GOVID_MANAGEMENT_PORT": port, "GOVID_METRICS_TOKEN": TOKEN}

    @pytest.mark.parametrize("host", ["10.1.2.3:9000", "id.example", "anything"])
    async def test_e1_f15_it_answers_under_any_name(
        self, client: Client, port: int, host: str
    ) -> None:
        await client.get("/health/live")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as scraper:
            answer = await scraper.get("/metrics", headers={"Host": host})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert 'govid_http_requests_total{method="GET",route="/health/live"' in answer.text

    @pytest.mark.parametrize(
        "path", ["/", "/docs", "/health/", "/health/details", "/api/auth/profile", "/metrics/"]
    )
    @pytest.mark.usefixtures("client")
    async def test_e1_nothing_else_is_there(self, port: int, path: str) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as scraper:
            answer = await scraper.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"

    @pytest.mark.parametrize("path", ["/metrics", "/health", "/health/ready", "/health/live"])
    @pytest.mark.usefixtures("client")
    async def test_e1_it_takes_get_only(self, port: int, path: str) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as scraper:
            assert (await scraper.post(path)).status_code == 405
            assert (await scraper.head(path)).status_code == 200

    @pytest.mark.parametrize("path", ["/health/live", "/health/startup", "/health/ready"])
    async def test_health_is_that_of_the_port_of_clients(
        self, client: Client, port: int, path: str
    ) -> None:
        public = await client.get(path)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as prober:
            answer = await prober.get(path, headers={"Host": "10.1.2.3:9000"})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert _without_changing_values(answer.json()) == _without_changing_values(public.json())

    async def test_health_details_are_on_the_management_port_only(
        self, client: Client, port: int, settings: Settings
    ) -> None:
        public = await client.get("/health")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as prober:
            answer = await prober.get("/health", headers={"Host": "10.1.2.3:9000"})
        view = answer.json()
        assert set(public.json()) == {"status", "service", "timestamp", "dependencies"}
        assert set(view) == {*public.json(), "version", "database", "bus"}
        assert set(view["dependencies"]) == set(public.json()["dependencies"])
        url = urlsplit(settings.bus.database_url)
        assert view["database"] == {
            "role": url.username,
            "mode": "primary",
            "server_version": view["database"]["server_version"],
            "schema": head_revision(),
            "expected_schema": head_revision(),
        }
        bus = view["bus"]
        assert bus["relay"] in {"connecting", "down"}
        assert bus["topics"]["hmrc.death.notification"] == "unchecked"
        assert bus["leases"]["kafka.relay"] >= 0
        assert (bus["inbox_partitions"], bus["inbox_lag"]) == ({}, {})
        assert 0 <= bus["retention_age_seconds"] < 60
        assert "127.0.0.1" not in answer.text
        assert str(url.port) not in str(view["bus"]["topics"]) + str(view["database"])

    async def test_e1_the_port_of_clients_has_nothing(self, client: Client) -> None:
        await _is_like_nothing(client, {**OURS, "Authorization": f"Bearer {TOKEN}"})
