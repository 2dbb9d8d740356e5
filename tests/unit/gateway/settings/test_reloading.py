"""Settings that change while a server runs: applied, or named because they need a restart."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from govid.gateway.settings import (
    Settings,
    SettingsError,
    SettingsReloader,
    load_from_environment,
)

LEVEL = "GOVID_LOG_LEVEL"
TOKEN = "GOVID_METRICS_TOKEN"
SECRET = "a token for the scraper, 32 bytes long"
OTHER = "another token, which is as long as it"
DEPARTMENTS = """
GOVID_HMRC_BASE_URL=https://hmrc.example
GOVID_HMRC_CLIENT_ID=govid
GOVID_HMRC_CLIENT_SECRET=the first secret
GOVID_NHS_BASE_URL=https://nhs.example
GOVID_NHS_CLIENT_ID=govid
GOVID_NHS_KEY_ID=first
GOVID_NHS_PRIVATE_KEY=the first key
"""

Lines = Callable[[], list[tuple[str, str, str | None, str | None]]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Return a function that returns the log lines so far: level, event, setting and reason."""
    caplog.set_level(logging.INFO)

    def read() -> list[tuple[str, str, str | None, str | None]]:
        found = [
            (
                one.levelname,
                one.getMessage(),
                getattr(one, "setting", None),
                getattr(one, "reason", None),
            )
            for one in caplog.records
        ]
        caplog.clear()
        return found

    return read


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n")
    return file


@pytest.fixture
def env_file(tmp_path: Path, token_file: Path) -> Path:
    file = tmp_path / ".env"
    file.write_text(f"{LEVEL}=INFO\n{TOKEN}_FILE={token_file}\n")
    return file


@pytest.fixture
def reloader(env_file: Path) -> SettingsReloader:
    def load() -> Settings:
        return load_from_environment({}, env_file=env_file)

    return SettingsReloader(load(), load)


def write(file: Path, text: str) -> None:
    """Replace the content of *file*."""
    file.write_text(text)


def replace(file: Path, old: str, new: str) -> None:
    """Replace *old* in *file*, where it is once."""
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


async def test_nothing_has_changed(reloader: SettingsReloader, lines: Lines) -> None:
    await reloader.reload()
    assert lines() == [("INFO", "settings.unchanged", None, None)]


async def test_a_changed_setting_reaches_its_subscriber_once(
    reloader: SettingsReloader, env_file: Path, lines: Lines
) -> None:
    levels: list[str] = []
    tokens: list[Settings] = []
    reloader.on_reload({LEVEL}, lambda changed: levels.append(changed.log_level))
    reloader.on_reload({TOKEN}, tokens.append)
    replace(env_file, "INFO", "DEBUG")
    await reloader.reload()
    await reloader.reload()
    assert (levels, tokens) == (["DEBUG"], [])
    assert lines() == [
        ("INFO", "settings.reloaded", LEVEL, None),
        ("INFO", "settings.unchanged", None, None),
    ]


async def test_a_changed_file_of_a_secret_reaches_its_subscriber_without_a_trace_in_the_log(
    reloader: SettingsReloader, token_file: Path, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    tokens: list[bytes | None] = []

    async def apply(changed: Settings) -> None:
        tokens.append(changed.metrics_token)

    reloader.on_reload({TOKEN, LEVEL}, apply)
    write(token_file, OTHER)
    await reloader.reload()
    assert tokens == [OTHER.encode()]
    assert (OTHER in caplog.text, SECRET in caplog.text) == (False, False)
    assert lines() == [("INFO", "settings.reloaded", TOKEN, None)]


async def test_settings_without_a_subscriber_are_named_until_the_restart(
    reloader: SettingsReloader, env_file: Path, token_file: Path, lines: Lines
) -> None:
    reloader.on_reload({LEVEL}, lambda _: None)
    replace(env_file, "INFO", "DEBUG\nGOVID_PORT=8001")
    write(token_file, OTHER)
    await reloader.reload()
    await reloader.reload()
    write(token_file, SECRET)
    replace(env_file, "\nGOVID_PORT=8001", "")
    await reloader.reload()
    needs_restart = ("WARNING", "settings.restart_needed", f"{TOKEN}, GOVID_PORT", None)
    assert lines() == [
        ("INFO", "settings.reloaded", LEVEL, None),
        needs_restart,
        needs_restart,
        ("INFO", "settings.unchanged", None, None),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "GOVID_DATABASE_URL",
        "GOVID_HMRC_CLIENT_SECRET",
        "GOVID_KEY_ENCRYPTION_KEY",
        "GOVID_METRICS_TOKEN",
        "GOVID_NHS_PRIVATE_KEY",
        "GOVID_OLD_KEY_ENCRYPTION_KEY",
        "GOVID_OLD_PSEUDONYM_KEYS",
        "GOVID_PSEUDONYM_KEY",
        "GOVID_SECRET_KEY",
        "GOVID_SMTP_PASSWORD",
    ],
)
async def test_a_rotated_secret_is_named_until_the_restart(
    name: str, tmp_path: Path, lines: Lines
) -> None:
    env_file = tmp_path / "rotated.env"
    write(env_file, DEPARTMENTS)

    def load() -> Settings:
        return load_from_environment({}, env_file=env_file)

    reloader = SettingsReloader(load(), load)
    # The last line of a name counts.
    write(
        env_file, f"{DEPARTMENTS}{name}=postgresql://govid:another-secret-32-bytes-long@db/govid\n"
    )
    await reloader.reload()
    assert lines() == [("WARNING", "settings.restart_needed", name, None)]


@pytest.mark.parametrize(
    ("invalid", "reason"),
    [
        (
            f"{LEVEL}=LOUD",
            f"{LEVEL} ({{}}): input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'",
        ),
        (
            f"{LEVEL}=DEBUG\nGOVID_PORTS=1",
            "GOVID_PORTS in {} is no setting of govid: did you mean GOVID_PORT?",
        ),
        (
            f"{LEVEL}=DEBUG\nGOVID_SECRET_KEY_FILE=/nowhere",
            "GOVID_SECRET_KEY_FILE names a file that cannot be read",
        ),
    ],
)
async def test_an_invalid_setting_leaves_all_as_they_were(
    reloader: SettingsReloader, env_file: Path, lines: Lines, invalid: str, reason: str
) -> None:
    applied: list[Settings] = []
    reloader.on_reload({LEVEL}, applied.append)
    replace(env_file, f"{LEVEL}=INFO", invalid)
    await reloader.reload()
    replace(env_file, invalid, f"{LEVEL}=INFO")
    await reloader.reload()
    assert applied == []
    assert lines() == [
        ("ERROR", "settings.reload_refused", None, reason.format(env_file)),
        ("INFO", "settings.unchanged", None, None),
    ]


async def test_a_refused_setting_is_offered_again(
    reloader: SettingsReloader, env_file: Path, lines: Lines
) -> None:
    levels: list[str] = []

    def refuse_once(changed: Settings) -> None:
        levels.append(changed.log_level)
        if len(levels) == 1:
            raise SettingsError(["the key does not fit the certificate"])

    reloader.on_reload({LEVEL}, refuse_once)
    replace(env_file, "INFO", "DEBUG")
    await reloader.reload()
    await reloader.reload()
    assert levels == ["DEBUG", "DEBUG"]
    assert lines() == [
        ("ERROR", "settings.reload_refused", LEVEL, "the key does not fit the certificate"),
        ("INFO", "settings.reloaded", LEVEL, None),
    ]


async def test_a_setting_that_names_a_file_changes_with_its_content(
    tmp_path: Path, lines: Lines
) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.write_text("first")

    def load() -> Settings:
        return load_from_environment({"GOVID_DATA_DIR": certificate}, env_file=None)

    reloader = SettingsReloader(load(), load)
    reloader.on_reload({"GOVID_DATA_DIR"}, lambda _: None)
    write(certificate, "second")
    await reloader.reload()
    assert lines() == [("INFO", "settings.reloaded", "GOVID_DATA_DIR", None)]
