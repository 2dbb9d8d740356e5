"""`govid serve`: all faults at once, or ready at once."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.backends import cluster
from tests.backends.govid import BASE, Govid
from tests.backends.ports import free_port
from tests.backends.processes import Server
from tests.integration.cli.processes import GOVID, govid

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def production() -> Iterator[str]:
    """Return the URL of a database as production has one, migrated."""
    with cluster.server() as url:
        yield url


def environment(database_url: str, **extra: str) -> dict[str, str]:
    backends = {
        "GOVID_DATABASE_URL": database_url,
        "GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "PATH": "",
    }
    return {**BASE, **backends, **extra}


def test_an_old_env_file_is_read_and_refused_with_all_its_faults(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "DB_HOST=127.0.0.1\nDB_PORT=1\nKAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1\n"
        "SECRET_KEY=my_super_secret_jwt_key\nALGORITHM=HS256\nBACKEND_CORS_ORIGINS=*\n"
    )
    ended = govid("serve", env={"PATH": ""}, cwd=tmp_path)
    assert (ended.code, ended.stdout) == (3, "")
    head, *faults, remedy = ended.stderr.splitlines()
    assert head == "govid: the settings or backends are not safe for production:"
    assert "  - GOVID_SECRET_KEY is a published value" in faults
    assert "  - GOVID_PSEUDONYM_KEY is not set" in faults
    assert "  - GOVID_CORS_ORIGINS allows any origin" in faults
    assert "  - GOVID_PUBLIC_URL is not an https address" in faults
    assert remedy.startswith("  `govid dev` runs a demonstration")


def test_a_database_behind_this_release_is_refused(production: str, tmp_path: Path) -> None:
    empty = cluster.create(production, "empty")
    ended = govid("serve", env=environment(empty), cwd=tmp_path)
    assert ended.code == 3
    assert "the database is at migration none" in ended.stderr
    cluster.drop(production, "empty")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "postgresql://a:b@127.0.0.1:1/c",
            "no connection to PostgreSQL at 127.0.0.1:1 (connection refused)",
        ),
        (
            "postgresql://a:b@/c?host=/nowhere",
            "no connection to PostgreSQL at /nowhere:5432 (there is no such socket)",
        ),
        (
            "postgresql://a:b@127.0.0.1:1,localhost:1/c",
            "no connection to PostgreSQL at 127.0.0.1:1, localhost:1 (connection refused)",
        ),
    ],
)
def test_f10_a_database_that_is_away_is_no_refusal(tmp_path: Path, url: str, sentence: str) -> None:
    ended = govid("serve", env=environment(url), cwd=tmp_path)
    reported = govid("outbox", "status", env=environment(url), cwd=tmp_path)
    assert (ended.code, reported.code) == (4, 4), ended.stderr
    assert ended.stderr == reported.stderr
    assert ended.stderr.startswith(f"govid: {sentence}")


def test_f10_an_old_address_is_called_by_the_names_that_were_set(tmp_path: Path) -> None:
    env = {"PATH": "", "DB_HOST": "127.0.0.1", "DB_PORT": "1", "DB_USER": "ada"}
    ended = govid("migrate", "status", env=env, cwd=tmp_path)
    assert (ended.code, ended.stderr.splitlines()[1:]) == (
        4,
        ["  Is it running, and are DB_HOST and DB_PORT right?"],
    )


def test_f10_a_rule_that_refuses_comes_first(tmp_path: Path) -> None:
    url = "postgresql://a:b@127.0.0.1:1/c"
    ended = govid("serve", env=environment(url, GOVID_CORS_ORIGINS="*"), cwd=tmp_path)
    assert ended.code == 3
    assert "  - GOVID_CORS_ORIGINS allows any origin" in ended.stderr
    assert "  - no connection to PostgreSQL at 127.0.0.1:1" in ended.stderr


def test_it_serves_without_kafka_and_stops_when_asked(production: str, tmp_path: Path) -> None:
    server = Govid(tmp_path, database_url=production, kafka="127.0.0.1:1")
    server.migrate()
    with server:
        assert httpx.get(f"{server.url}/health/ready").status_code == 200
        assert httpx.get(f"{server.url}/health").json()["status"] == "degraded"
    log = server.log.read_text()
    assert f"Ready on {server.url}" in log
    assert "Traceback" not in log
    assert govid("check", env=environment(production), cwd=tmp_path).code == 0


def test_several_workers_share_a_port(production: str, tmp_path: Path) -> None:
    env = {**environment(production), "GOVID_PORT": str(free_port())}
    assert govid("migrate", env=env, cwd=tmp_path).code == 0
    url = f"http://127.0.0.1:{env['GOVID_PORT']}"
    command = [*GOVID, "serve", "--workers", "2"]
    log, ready = tmp_path / "log", f"{url}/health/ready"
    with Server(command, log=log, environment=env, ready=ready, folder=tmp_path):
        assert httpx.get(f"{url}/health/live").status_code == 200
    assert f"Starting 2 workers on {url}" in log.read_text()
