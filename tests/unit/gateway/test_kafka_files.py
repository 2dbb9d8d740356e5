"""SIGHUP refuses certificate files that the clients of Kafka could not use."""

import logging
from functools import partial
from pathlib import Path

import pytest

from govid.gateway.app import check_kafka_files
from govid.gateway.settings import (
    REREAD_FILES,
    Settings,
    SettingsReloader,
    load_from_environment,
)
from tests.backends.certificates import CertificateFolder

CA = "GOVID_KAFKA_SSL_CA_FILE"
CERTIFICATE = "GOVID_KAFKA_SSL_CERTIFICATE_FILE"
KEY = "GOVID_KAFKA_SSL_KEY_FILE"
KEPT = "the earlier certificates stay in force"


@pytest.fixture
def folder(tmp_path: Path) -> CertificateFolder:
    return CertificateFolder(tmp_path)


@pytest.fixture
def paths(folder: CertificateFolder) -> dict[str, Path]:
    """Return sound files by the settings that name them."""
    files = folder.issue("govid")
    return {CA: folder.authority, CERTIFICATE: files.certificate, KEY: files.key}


@pytest.fixture
def reloader(paths: dict[str, Path]) -> SettingsReloader:
    """Return a reloader that checks the files as the application does."""

    def load() -> Settings:
        values = {"GOVID_KAFKA_SECURITY_PROTOCOL": "SSL", **paths}
        return load_from_environment(values, env_file=None)

    settings = load()
    found = SettingsReloader(settings, load)
    found.on_reload(REREAD_FILES, partial(check_kafka_files, settings))
    return found


def reported(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str | None]]:
    return [
        (one.message, getattr(one, "setting", ""), getattr(one, "reason", None))
        for one in caplog.records
    ]


@pytest.mark.parametrize("setting", [CA, CERTIFICATE, KEY])
async def test_half_a_file_is_refused_until_it_is_complete(
    setting: str,
    paths: dict[str, Path],
    reloader: SettingsReloader,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "govid")
    content = paths[setting].read_bytes()
    paths[setting].write_bytes(content[: len(content) // 2])
    await reloader.reload()
    paths[setting].write_bytes(content + b"\n")
    await reloader.reload()
    assert reported(caplog) == [
        (
            "settings.reload_refused",
            setting,
            f"the file of {setting} is not a complete PEM file; {KEPT}",
        ),
        ("settings.reloaded", setting, None),
    ]


async def test_a_key_of_another_pair_is_refused(
    folder: CertificateFolder,
    paths: dict[str, Path],
    reloader: SettingsReloader,
    caplog: pytest.LogCaptureFixture,
) -> None:
    paths[KEY].write_bytes(folder.issue("other").key.read_bytes())
    await reloader.reload()
    reason = f"the key of {KEY} does not fit the certificate of {CERTIFICATE}; {KEPT}"
    assert reported(caplog) == [("settings.reload_refused", KEY, reason)]
