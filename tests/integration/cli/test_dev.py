"""`govid dev`, as a newcomer meets it."""

import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from govid.gateway.cli.demo.scenarios import SCENARIOS
from tests.backends import postgres
from tests.backends.ports import free_port
from tests.integration.cli.processes import Dev, environment, govid

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

NIN = {
    "email": "test.nin@example.com",
    "identifierType": "NIN",
    "identifierValue": "AB123456C",
    "password": "password123",
    "phoneNumber": "+447123456789",
}
NHS = {
    "email": "test.nhs@example.com",
    "identifierType": "NHS",
    "identifierValue": "NHS123456789",
    "password": "password123",
}
PANEL = {
    "api_docs", "death_notification_at", "death_notification_for", "health", "inbox", "jwks",
    "kafka", "kafka_in_memory", "openapi", "postgres", "postgres_embedded", "postgres_version",
    "ready_seconds", "service", "sign_in", "state_file", "version",
}  # fmt: skip


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """Return a server that runs for all tests that only look."""
    with Dev(tmp_path_factory.mktemp("dev") / ".govid", SIMULATE_DEATH_EVENT="false") as running:
        yield running


def post(url: str, path: str, body: dict[str, str]) -> httpx.Response:
    return httpx.post(f"{url}{path}", json=body, timeout=10)


def get(url: str, path: str, bearer: str = "none") -> httpx.Response:
    return httpx.get(f"{url}{path}", headers={"Authorization": f"Bearer {bearer}"}, timeout=10)


def password_of(dev: Dev) -> str:
    return str(json.loads(Path(dev.panel["state_file"]).read_text())["password"])


def test_the_five_examples_and_a_second_start(tmp_path: Path) -> None:
    folder, port = tmp_path / ".govid", str(free_port())
    with Dev(folder, GOVID_PORT=port) as dev:
        assert post(dev.url, "/api/auth/register", NIN).status_code == 201
        assert post(dev.url, "/api/auth/register", NHS).status_code == 201
        login = post(
            dev.url, "/api/auth/login", {"email": NIN["email"], "password": NIN["password"]}
        )
        assert login.status_code == 200
        token = login.json()["access_token"]
        assert get(dev.url, "/api/auth/profile", token).status_code == 200
        patients = get(dev.url, "/api/nhs/patients", token)
        assert (patients.status_code, patients.json()) == (200, [])
        assert dev.interrupt() == 0
        assert dev.seconds_to_stop < 10
        assert dev.stderr().endswith("Stopped.\n")
        assert "Traceback" not in dev.stderr()
    with Dev(folder, GOVID_PORT=port) as dev:
        assert post(dev.url, "/api/auth/register", NIN).status_code == 400
        assert get(dev.url, "/api/auth/profile", token).status_code == 200
    with Dev(folder, "--reset") as dev:
        assert post(dev.url, "/api/auth/register", NIN).status_code == 201


def test_the_panel_is_one_object(dev: Dev) -> None:
    assert set(dev.panel) == PANEL
    assert (dev.panel["postgres_embedded"], dev.panel["kafka_in_memory"]) == (True, True)
    assert dev.panel["death_notification_at"] is None


def test_it_is_ready_when_it_reports_so(dev: Dev) -> None:
    assert get(dev.url, "/health/live").status_code == 200
    assert httpx.get(dev.panel["openapi"]).status_code == 200
    assert httpx.get(dev.panel["jwks"]).status_code == 200


def test_its_password_opens_every_account_but_the_blocked_one(dev: Dev) -> None:
    statuses = {
        email: post(
            dev.url, "/api/auth/login", {"email": email, "password": password_of(dev)}
        ).status_code
        for email in dev.panel["sign_in"]
    }
    assert statuses == {
        "citizen@example.com": 200,
        "taxpayer@example.com": 200,
        "pending@example.com": 200,
        "failed@example.com": 200,
        "blocked@example.com": 403,
        "registered@example.com": 200,
    }


def test_its_state_is_for_its_owner_only(dev: Dev) -> None:
    assert stat.S_IMODE(Path(dev.panel["state_file"]).stat().st_mode) == 0o600


def test_every_story_reaches_its_end(dev: Dev) -> None:
    # One of them is about a breaker's rest, which takes a quarter of a minute.
    played = dev.run("demo", "all", "--json", seconds=150)
    assert played.code == 0, played.stderr
    *passed, last = map(json.loads, played.stdout.splitlines())
    assert last == {"stories": list(SCENARIOS), "failed": []}
    topics = {line["topic"] for line in passed if "topic" in line}
    assert topics == {
        "identity.verification.request",
        "identity.verification.result",
        "hmrc.death.notification",
        "nhs.appointment.request",
        "nhs.appointment.result",
    }


def test_the_tail_reads_kafka_and_masks(dev: Dev) -> None:
    citizen = {"email": "citizen@example.com", "password": password_of(dev)}
    assert post(dev.url, "/api/auth/login", citizen).status_code == 200
    topic = ("--topic", "system.logs.activity", "--source", "kafka")
    tailed = dev.run("events", "tail", *topic, "--since", "1m", "--limit", "1", "--json")
    assert tailed.code == 0, tailed.stderr
    line: dict[str, Any] = json.loads(tailed.stdout)
    assert line["topic"] == "system.logs.activity"
    assert line["payload"]["client_ip"] == "***"


def test_the_tail_of_kafka_ends_if_that_is_wanted(dev: Dev) -> None:
    assert post(dev.url, "/api/auth/login", {"email": "a@example.com", "password": "x"})
    tailed = dev.run(
        "events", "tail", "--source", "kafka", "--since", "1h", "--no-follow", "--json"
    )
    assert tailed.code == 0, tailed.stderr
    topics = {json.loads(line)["topic"] for line in tailed.stdout.splitlines()}
    assert "system.logs.activity" in topics


def test_the_outbox_is_found_without_being_named(dev: Dev) -> None:
    status = dev.run("outbox", "status", "--json")
    assert status.code == 0, status.stderr
    assert {row["subscriber"] for row in json.loads(status.stdout)} >= {"kafka.relay"}


def test_more_people_can_be_added_and_only_once(dev: Dev) -> None:
    seed = ("seed", "--citizens", "3", "--rng-seed", "9", "--json")
    assert json.loads(dev.run(*seed, "--dry-run").stdout)["would_add"] == 3
    assert json.loads(dev.run(*seed, "--yes").stdout)["added"] == 3
    assert json.loads(dev.run(*seed, "--dry-run").stdout)["would_add"] == 0


def test_a_second_start_in_the_same_folder_names_the_first(dev: Dev) -> None:
    second = dev.run("dev")
    assert second.code == 1
    assert f", {dev.url})" in second.stderr


def test_a_busy_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = govid("dev", env=environment(tmp_path / "d", GOVID_PORT=port), cwd=tmp_path)
    assert ended.code == 1
    assert ended.stderr.startswith(f"govid: port {port} of 127.0.0.1 cannot be used")
    assert len(ended.stderr.splitlines()) == 2


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = govid("dev", env=environment(tmp_path / "file" / "d"), cwd=tmp_path)
    assert ended.code == 1
    assert "GOVID_DATA_DIR" in ended.stderr
    assert len(ended.stderr.splitlines()) == 2


def test_an_unreachable_database_is_one_sentence(tmp_path: Path) -> None:
    url = "postgresql://x@127.0.0.1:1/x"
    env = environment(tmp_path / "d", GOVID_DATABASE_URL=url)
    ended = govid("dev", env=env, cwd=tmp_path)
    assert ended.code == 4
    assert ended.stderr.startswith("govid: no connection to PostgreSQL at ")
    assert len(ended.stderr.splitlines()) == 2


def test_other_machines_are_kept_out_unless_that_is_meant(tmp_path: Path) -> None:
    ended = govid("dev", "--host", "0.0.0.0", env=environment(tmp_path / "d"), cwd=tmp_path)  # noqa: S104
    assert (ended.code, ended.stdout) == (3, "")


def test_an_unreachable_kafka_is_a_warning(tmp_path: Path, database_url: str) -> None:
    extra = {
        "GOVID_DATABASE_URL": database_url,
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "GOVID_ALLOW_SIMULATORS": "true",
    }
    with Dev(tmp_path / ".govid", **extra) as dev:
        assert (
            "warning: no Kafka answers at 127.0.0.1:1 (connection refused): events stay in the "
            "outbox until it does (GOVID_KAFKA_BOOTSTRAP_SERVERS)."
        ) in dev.stderr().splitlines()
        assert (dev.panel["postgres_embedded"], dev.panel["kafka_in_memory"]) == (False, False)
        health = get(dev.url, "/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")


@pytest.mark.parametrize("arguments", [(), ("--no-seed",), ("--reset",), ("--port", "0", "--json")])
async def test_f1_a_database_that_others_have_begun_is_left_alone(
    tmp_path: Path, database_url: str, arguments: tuple[str, ...]
) -> None:
    env = environment(tmp_path / "d", GOVID_DATABASE_URL=database_url)
    ended = govid("dev", *arguments, env=env, cwd=tmp_path)
    assert (ended.code, ended.stdout) == (3, "")
    assert "GOVID_DATABASE_URL names a database that `govid dev` has not created" in ended.stderr
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM identity.account") == 0
    finally:
        await connection.close()


async def test_f1_a_new_database_is_taken_and_known_again(
    tmp_path: Path, postgres_server: str
) -> None:
    url = await postgres.clone(postgres_server, "template0")
    extra = {"GOVID_DATABASE_URL": url, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    for _ in range(2):
        with Dev(tmp_path / ".govid", **extra) as dev:
            assert dev.panel["postgres_embedded"] is False
            assert dev.panel["sign_in"] != []
            # Another consumer of this Kafka would block an account because of the notice.
            assert dev.panel["death_notification_for"] is None
    await postgres.drop(postgres_server, url)


@pytest.mark.parametrize(
    ("extra", "person"),
    [
        ({"SIMULATE_DEATH_EVENT": "true"}, "AB123456C"),
        ({"GOVID_SIMULATE_DEATH_EVENT": "false"}, None),
        ({"GOVID_ALLOW_SIMULATORS": "true"}, "AB123456C"),
    ],
)
def test_f1_a_death_is_reported_to_a_kafka_of_ones_own_if_asked_to(
    tmp_path: Path, extra: dict[str, str], person: str | None
) -> None:
    with Dev(tmp_path / ".govid", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", **extra) as dev:
        assert dev.panel["death_notification_for"] == person


def test_an_old_env_file_runs_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "SECRET_KEY=my_super_secret_jwt_key\nALGORITHM=HS256\nACCESS_TOKEN_EXPIRE_MINUTES=30\n"
        "IDENTITY_VERIFICATION_REQUEST_TOPIC=identity.verification.request\n"
        'BACKEND_CORS_ORIGINS_NHS=["*"]\nKAFKA_BROKER_URL=kafka:29092\n'
    )
    with Dev(tmp_path / ".govid") as dev:
        assert "warning: GOVID_SECRET_KEY is a published value" in dev.stderr()
        login = {"email": "citizen@example.com", "password": password_of(dev)}
        token = post(dev.url, "/api/auth/login", login).json()["access_token"]
        assert get(dev.url, "/api/auth/profile", token).status_code == 200


def test_after_a_power_cut_the_data_is_there(tmp_path: Path) -> None:
    folder = tmp_path / ".govid"
    with Dev(folder) as dev:
        assert post(dev.url, "/api/auth/register", NHS).status_code == 201
        dev.kill()
    assert govid("events", "tail", env=environment(folder), cwd=tmp_path).code == 4
    with Dev(folder) as dev:
        assert "Took over the database" in dev.stderr()
        assert post(dev.url, "/api/auth/register", NHS).status_code == 400


def test_a_pid_file_of_another_person_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / ".govid"
    with Dev(folder):
        pass
    postgres = Path(json.loads((folder / "dev.json").read_text())["postgres_folder"])
    lines = (str(os.getpid()), str(postgres), "1", "5432", str(postgres), "", "1 2", "ready")
    (postgres / "postmaster.pid").write_text("\n".join(lines))
    with Dev(folder) as dev:
        assert f"Removed {postgres / 'postmaster.pid'}" in dev.stderr()
