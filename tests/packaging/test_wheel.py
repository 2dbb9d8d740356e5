"""What is released is whole: the wheel in a clean environment can migrate and serve."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

import govid
from govid.gateway.dev.backends import MockKafka
from tests.backends import cluster
from tests.backends.govid import BASE
from tests.backends.ports import free_port
from tests.backends.processes import Server
from tests.unit.cli.golden import COMMANDS

ROOT = Path(__file__).parents[2]

# Builds a wheel and fills a virtual environment: about half a minute with a near package index.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("wheel")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a freshly built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    _pip(sys.executable, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    [built] = folder.glob("govid-*.whl")
    return built


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the executables' folder of an environment that holds the wheel, and no dev extra."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    _pip(python, "install", "--quiet", "--require-hashes", "-r", ROOT / "requirements.lock")
    _pip(python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    _pip(python, "check")
    return folder / "bin"


def test_the_wheel_holds_what_is_not_python(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    migrations = {
        f"govid/_migrations/versions/{script.name}"
        for script in (ROOT / "migrations/versions").glob("*.py")
    }
    statements = {
        str(Path("govid") / file.relative_to(ROOT / "src/govid"))
        for file in (ROOT / "src/govid").rglob("*.sql")
    }
    assert "govid/bus/delivery/outbox.sql" in statements
    assert names >= migrations | statements | {"govid/_migrations/env.py", "govid/py.typed"}


def test_the_command_works_without_the_dev_extra(clean: Path, tmp_path: Path) -> None:
    finished = subprocess.run(
        [clean / "govid", "--version"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert finished.stdout.split()[-1] == govid.__version__


def test_the_server_can_be_built_without_the_dev_extra(clean: Path, tmp_path: Path) -> None:
    imports = (
        "import govid.gateway.app, govid.gateway.schema_version as m; print(m.head_revision())"
    )
    finished = subprocess.run(
        [clean / "python", "-W", "error::ImportWarning", "-c", imports],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    newest = max(path.name for path in (ROOT / "migrations/versions").glob("*.py"))
    assert finished.stdout.strip() == newest.partition("_")[0]


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """The wheel without the extra `dev`, its settings, and an account that was registered there."""

    program: Path
    environment: dict[str, str]
    folder: Path
    account_id: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `govid` with *arguments* to its end."""
        return subprocess.run(
            [self.program, *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture(scope="module")
def installed(clean: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """Migrate, serve and register with nothing but the installed wheel."""
    folder = tmp_path_factory.mktemp("production")
    url = f"http://127.0.0.1:{free_port()}"
    with cluster.server() as database_url, MockKafka() as kafka:
        settings = {
            **BASE,
            "PATH": os.environ["PATH"],
            "GOVID_DATABASE_URL": database_url,
            "GOVID_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "GOVID_PORT": url.rpartition(":")[2],
        }
        program = clean / "govid"
        subprocess.run([program, "migrate"], env=settings, cwd=folder, check=True)
        with Server(
            [str(program), "serve"],
            log=folder / "serve.log",
            environment=settings,
            ready=f"{url}/health/ready",
            folder=folder,
        ):
            person = {
                "email": "ada@example.com",
                "password": "a long enough pass phrase",
                "identifierType": "NHS",
                "identifierValue": "9990000018",
                "phoneNumber": "+447700900123",
            }
            answer = httpx.post(f"{url}/api/auth/register", json=person)
            assert answer.status_code == httpx.codes.CREATED, answer.text
            yield Installed(
                program=program,
                environment=settings,
                folder=folder,
                account_id=str(answer.json()["id"]),
            )


ALL_HELP = """
import sys
from govid.gateway.cli.commands import commands
failed = []
for line in sys.stdin.read().splitlines():
    try:
        commands([*line.split(), "--help"], prog_name="govid")
    except SystemExit as end:
        if end.code:
            failed.append(line)
print("failed:", failed, file=sys.stderr)
"""


def test_f7_every_command_has_help_without_the_dev_extra(clean: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        [clean / "python", "-c", ALL_HELP],
        input="\n".join(map(" ".join, COMMANDS)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.stderr == "failed: []\n"
    assert ended.stdout.count("Usage: govid") == len(COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("migrate", "status"), 0),
        (("migrate",), 0),
        (("check",), 0),
        (("config", "show"), 0),
        (("config", "example"), 0),
        (("asyncapi",), 0),
        (("events", "tail", "--source", "outbox", "--since", "1h", "--no-follow"), 0),
        (("events", "tail", "--source", "kafka", "--since", "1h", "--no-follow"), 0),
        (("outbox", "status"), 0),
        (("outbox", "list"), 0),
        (("outbox", "groups"), 0),
        (("outbox", "verify"), 0),
        # There is nothing to retry, which is 1; what matters is that it was looked for.
        (("outbox", "retry", "--subscriber", "kafka.relay", "--dry-run"), 1),
        (("outbox", "replay", "--subscriber", "kafka.relay", "--dry-run"), 0),
        (("keys", "list"), 0),
        (("accounts", "show", "{account}"), 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_f7_a_command_works_without_the_dev_extra(
    installed: Installed, arguments: tuple[str, ...], code: int
) -> None:
    ended = installed.run(*(word.format(account=installed.account_id) for word in arguments))
    assert (ended.returncode, "Error" in ended.stderr) == (code, False), ended.stderr


def test_f7_what_was_registered_is_shown_without_the_dev_extra(installed: Installed) -> None:
    shown = json.loads(installed.run("accounts", "show", installed.account_id, "--json").stdout)
    assert shown["account"]["id"] == installed.account_id


def test_f7_the_demonstration_says_what_it_needs(clean: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        [clean / "govid", "dev"],
        env={"PATH": os.environ["PATH"], "GOVID_PORT": "0"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "is not installed.\n  Install govid[dev], or set GOVID_" in ended.stderr


def _pip(python: Path | str, *arguments: object) -> None:
    subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)],
        check=True,
        stdout=sys.stderr,
    )
