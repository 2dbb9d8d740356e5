"""compose.yaml, read without a Docker engine: pinned, watched, on the loopback, and known to us."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from govid.gateway import settings
from govid.gateway.checks import production

COMPOSE: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[2] / "compose.yaml").read_text("utf-8")
)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ENVIRONMENT: dict[str, str] = SERVICES["govid"]["environment"]
SETTINGS = re.findall(r"^# (GOVID_[A-Z_]+)=", settings.render_example(), re.MULTILINE)
SECRET = re.compile(r"PASSWORD|SECRET|KEY\b|_KEY$")
IS_REQUIRED = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")
HAS_DEFAULT = re.compile(r"\$\{[A-Z_]+:-([^}]+)\}")


def test_it_starts_the_four_services() -> None:
    assert sorted(SERVICES) == ["govid", "kafka", "migrate", "postgres"]


@pytest.mark.parametrize("name", ["postgres", "kafka"])
def test_foreign_images_are_pinned_to_a_release(name: str) -> None:
    assert re.fullmatch(r"[a-z/]+:\d+\.\d+(\.\d+)?(-[a-z]+)?", SERVICES[name]["image"])


@pytest.mark.parametrize("name", ["postgres", "kafka", "govid"])
def test_every_server_has_a_healthcheck(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_ports_are_published_on_the_loopback_only(service: dict[str, Any]) -> None:
    assert [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_services_depend_on_services_that_exist(service: dict[str, Any]) -> None:
    assert set(service.get("depends_on", {})) <= set(SERVICES)


def test_govid_waits_for_the_migration_and_never_for_kafka() -> None:
    conditions = {name: on["condition"] for name, on in SERVICES["govid"]["depends_on"].items()}
    assert conditions == {
        "postgres": "service_healthy",
        "migrate": "service_completed_successfully",
        "kafka": "service_started",
    }


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_every_setting_is_one_that_govid_knows(name: str) -> None:
    assert name in SETTINGS


def test_govid_finds_nothing_to_refuse_in_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        given = f"what the owner of this machine has put into .env for {name}"
        monkeypatch.setenv(name, HAS_DEFAULT.sub(r"\1", IS_REQUIRED.sub(given, value)))
    assert production.blocking_problems(settings.load_from_environment(env_file=None)) == []


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_secrets_come_from_outside(service: dict[str, Any]) -> None:
    secrets = {
        name: value for name, value in service.get("environment", {}).items() if SECRET.search(name)
    }
    assert [name for name, value in secrets.items() if not IS_REQUIRED.fullmatch(value)] == []


@pytest.mark.parametrize("name", ["govid", "migrate"])
def test_govid_runs_on_a_read_only_root_without_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
