"""Certificate files: what is wrong with them is named, and new ones are used."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from govid.bus.kafka.errors import TlsFilesInvalid
from govid.bus.kafka.tls import ReloadingTlsContext, build_tls_context, certificate_warnings
from govid.bus.settings import KafkaSecurity
from govid.bus.shared.secret_source import SecretSource
from tests.backends.certificates import CertificateFiles, CertificateFolder

CA, CERTIFICATE, KEY = (
    f"the file of GOVID_KAFKA_SSL_{name}_FILE" for name in ("CA", "CERTIFICATE", "KEY")
)


@pytest.fixture
def folder(tmp_path: Path) -> CertificateFolder:
    return CertificateFolder(tmp_path)


@pytest.fixture
def files(folder: CertificateFolder) -> CertificateFiles:
    return folder.issue("govid")


def security(
    folder: CertificateFolder, files: CertificateFiles, password: str | None = None
) -> KafkaSecurity:
    return KafkaSecurity(
        protocol="SSL",
        ca_file=folder.authority,
        certificate_file=files.certificate,
        key_file=files.key,
        key_password=SecretSource(value=password or ""),
    )


def cut_in_half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda a, _: a.authority.unlink(), f"{CA} cannot be read (No such file or directory)"),
        (lambda a, _: cut_in_half(a.authority), f"{CA} is not a complete PEM file"),
        (lambda a, f: a.authority.write_bytes(f.key.read_bytes()), f"{CA} holds no certificate"),
        (lambda _, f: f.certificate.write_text("nonsense"), f"{CERTIFICATE} is not a complete PEM"),
        (lambda _, f: cut_in_half(f.key), f"{KEY} is not a complete PEM file"),
        (lambda _, f: f.key.unlink(), f"{KEY} cannot be read (No such file or directory)"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    damage: Callable[[CertificateFiles, CertificateFolder], object],
    reason: str,
    folder: CertificateFolder,
    files: CertificateFiles,
) -> None:
    damage(folder, files)
    with pytest.raises(TlsFilesInvalid) as raised:
        build_tls_context(security(folder, files))
    assert str(raised.value).startswith(reason)


def test_a_key_that_does_not_fit_is_named(
    folder: CertificateFolder, files: CertificateFiles
) -> None:
    files.key.write_bytes(folder.issue("other").key.read_bytes())
    with pytest.raises(TlsFilesInvalid, match="KEY_FILE does not fit the certificate of"):
        build_tls_context(security(folder, files))


@pytest.mark.parametrize("password", [None, "wrong"])
def test_an_encrypted_key_needs_its_password(
    password: str | None, folder: CertificateFolder
) -> None:
    files = folder.issue("locked", password="p@ss word")
    build_tls_context(security(folder, files, "p@ss word"))
    with pytest.raises(TlsFilesInvalid, match="KEY_PASSWORD does not open the key"):
        build_tls_context(security(folder, files, password))


def test_a_key_may_be_in_the_file_of_the_certificate(folder: CertificateFolder) -> None:
    files = folder.issue("govid")
    build_tls_context(KafkaSecurity(protocol="SSL", certificate_file=files.both))


def test_an_authority_that_was_replaced_is_no_longer_trusted(
    tmp_path: Path, folder: CertificateFolder, files: CertificateFiles
) -> None:
    context = ReloadingTlsContext(security(folder, files))
    context.load_files()
    first = {one["serialNumber"] for one in context.current.get_ca_certs()}
    CertificateFolder(tmp_path, "successor").authority.replace(folder.authority)
    context.load_files()
    second = {one["serialNumber"] for one in context.current.get_ca_certs()}
    assert len(first) == len(second) == 1
    assert first != second


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(TlsFilesInvalid, match="is no regular file"):
        build_tls_context(KafkaSecurity(protocol="SSL", ca_file=pipe))


def test_without_usable_files_nothing_is_trusted(tmp_path: Path) -> None:
    context = ReloadingTlsContext(KafkaSecurity(protocol="SSL", ca_file=tmp_path / "missing"))
    with pytest.raises(TlsFilesInvalid):
        context.load_files()
    assert context.current.get_ca_certs() == []


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (-1, ["expired on"]),
        (3, ["expires on"]),
        (60, []),
    ],
)
def test_a_certificate_that_expires_is_a_warning(
    left: int, words: list[str], folder: CertificateFolder
) -> None:
    files = folder.issue("govid", from_day=-9, until_day=left)
    found = certificate_warnings(security(folder, files))
    assert [word in one for word, one in zip(words, found, strict=True)] == [True] * len(words)


def test_a_certificate_without_a_key_names_the_setting_of_the_key(
    folder: CertificateFolder, files: CertificateFiles
) -> None:
    alone = KafkaSecurity(
        protocol="SSL", ca_file=folder.authority, certificate_file=files.certificate
    )
    with pytest.raises(TlsFilesInvalid) as error:
        build_tls_context(alone)
    assert str(error.value) == f"{CERTIFICATE} has no key: set GOVID_KAFKA_SSL_KEY_FILE"
