"""What `govid serve` refuses, all at once."""

from pathlib import Path

import pytest

from govid.gateway.checks.production import blocking_problems, warnings
from govid.gateway.settings import Settings, SettingsError, load_from_environment

STRONG = "Q2hhbmdlIHRoaXMgb25lIGJlZm9yZSBpdCBpcyB1c2Vk"
PLAINTEXT = (
    "Kafka is reached without encryption: set GOVID_KAFKA_SECURITY_PROTOCOL, or, if its "
    "network is protected otherwise, GOVID_KAFKA_ALLOW_PLAINTEXT=true"
)
PLAINTEXT_ALLOWED = (
    "Kafka is reached without encryption, so that others can read and forge its records, death "
    "notices included: set GOVID_KAFKA_SECURITY_PROTOCOL"
)
UNVERIFIED = (
    "the certificate of the database is not verified, so that another server can take its place "
    "and read passwords and data: set sslmode=verify-full and sslrootcert in GOVID_DATABASE_URL"
)
PAGES = (
    "links in emails lead to /reset and /account/confirm, pages that govid does not serve: "
    "a front end has to serve them"
)
GOOD: dict[str, object] = {
    "GOVID_DATABASE_URL": (
        "postgresql://govid:long-password@db.internal/govid?sslmode=verify-full&sslrootcert=system"
    ),
    "GOVID_KAFKA_BOOTSTRAP_SERVERS": "kafka.internal:9092",
    "GOVID_KAFKA_ALLOW_PLAINTEXT": True,
    "GOVID_PSEUDONYM_KEY": "R8mYb6NcJ4hGf7DsA1eUoQ5kP3vX9qLw2Zt",
    "GOVID_KEY_ENCRYPTION_KEY": "f7DsA1eUoQ5kP3vX9qLw2ZtR8mYb6NcJ4hG",
    "GOVID_AUDIT_KEY": "P3vX9qLw2ZtR8mYb6NcJ4hGf7DsA1eUoQ5k",
    "GOVID_PUBLIC_URL": "https://id.example.com",
    "GOVID_ALLOWED_HOSTS": "id.example.com",
    "GOVID_MAIL_FROM": "no-reply@example.com",
    "GOVID_SMTP_HOST": "mail.internal",
    "GOVID_MANAGEMENT_PORT": 9000,
}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.environ", {})
    monkeypatch.chdir(tmp_path)


def settings(**changes: object) -> Settings:
    return load_from_environment({**GOOD, **changes}, env_file=None)


def test_good_settings_have_no_faults() -> None:
    assert blocking_problems(settings()) == []


def test_nothing_set_names_everything_that_is_missing() -> None:
    assert blocking_problems(load_from_environment(env_file=None)) == [
        "GOVID_DATABASE_URL is not set",
        "GOVID_KAFKA_BOOTSTRAP_SERVERS is not set",
        "GOVID_PSEUDONYM_KEY is not set",
        "GOVID_AUDIT_KEY is not set",
        "GOVID_KEY_ENCRYPTION_KEY is not set",
        "GOVID_PUBLIC_URL is not an https address",
        "GOVID_ALLOWED_HOSTS is not set",
    ]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            {"GOVID_KAFKA_ALLOW_PLAINTEXT": False},
            PLAINTEXT,
        ),
        (
            {"GOVID_KAFKA_GENERATION": "abc"},
            "GOVID_KAFKA_BOOTSTRAP_SERVERS is the in-memory broker of `govid dev`",
        ),
        ({"GOVID_PSEUDONYM_KEY": "short"}, "GOVID_PSEUDONYM_KEY is shorter than 32 bytes"),
        ({"GOVID_PSEUDONYM_KEY": "a" * 40}, "GOVID_PSEUDONYM_KEY is too easy to guess"),
        (
            {"GOVID_ALGORITHM": "HS256", "GOVID_SECRET_KEY": "my_super_secret_jwt_key"},
            "GOVID_SECRET_KEY is a published value",
        ),
        (
            {"GOVID_ALGORITHM": "HS256", "GOVID_KEY_ENCRYPTION_KEY": None},
            "GOVID_SECRET_KEY is not set",
        ),
        (
            {
                "GOVID_ALGORITHM": "HS256",
                "GOVID_SECRET_KEY": STRONG,
                "GOVID_KEY_ENCRYPTION_KEY": "x",
            },
            "GOVID_KEY_ENCRYPTION_KEY is shorter than 32 bytes",
        ),
        (
            {"GOVID_PUBLIC_URL": "http://id.example.com"},
            "GOVID_PUBLIC_URL is not an https address",
        ),
        ({"GOVID_ALLOWED_HOSTS": ""}, "GOVID_ALLOWED_HOSTS is not set"),
        ({"GOVID_ALLOWED_HOSTS": "*"}, "GOVID_ALLOWED_HOSTS allows any host"),
        ({"GOVID_CORS_ORIGINS": "*"}, "GOVID_CORS_ORIGINS allows any origin"),
        (
            {"GOVID_PATIENT_REGISTRY": "simulator"},
            "GOVID_PATIENT_REGISTRY is a simulator; to allow it, set GOVID_ALLOW_SIMULATORS=true",
        ),
        (
            {"GOVID_NINO_VERIFIER": "simulator"},
            "GOVID_NINO_VERIFIER is a simulator; to allow it, set GOVID_ALLOW_SIMULATORS=true",
        ),
        (
            {"GOVID_TAX_RECORDS": "simulator"},
            "GOVID_TAX_RECORDS is a simulator; to allow it, set GOVID_ALLOW_SIMULATORS=true",
        ),
    ],
)
def test_each_fault_alone(change: dict[str, object], fault: str) -> None:
    assert blocking_problems(settings(**change)) == [fault]


@pytest.mark.parametrize(
    ("host", "management_host", "port", "is_fault"),
    [
        ("127.0.0.1", "127.0.0.1", 8000, True),
        ("0.0.0.0", "127.0.0.1", 8000, True),  # noqa: S104
        ("::", "127.0.0.1", 8000, True),
        ("127.0.0.1", "0.0.0.0", 8000, True),  # noqa: S104
        ("127.0.0.1", "127.0.0.2", 8000, False),
        ("127.0.0.1", "127.0.0.1", 8001, False),
    ],
)
def test_the_management_port_is_not_the_port_of_the_service(
    host: str, management_host: str, port: int, is_fault: bool
) -> None:
    chosen = settings(
        GOVID_HOST=host,
        GOVID_PORT=8000,
        GOVID_MANAGEMENT_HOST=management_host,
        GOVID_MANAGEMENT_PORT=port,
    )
    fault = "GOVID_MANAGEMENT_PORT is GOVID_PORT: give each a port of its own"
    assert blocking_problems(chosen) == [fault] * is_fault


def test_a_weak_secret_that_is_not_in_use_is_no_fault() -> None:
    assert blocking_problems(settings(GOVID_SECRET_KEY="my_super_secret_jwt_key")) == []


def test_without_a_key_of_its_own_what_is_kept_is_under_the_pseudonym_key() -> None:
    values = {"GOVID_ALGORITHM": "HS256", "GOVID_SECRET_KEY": STRONG}
    assert blocking_problems(settings(**values, GOVID_KEY_ENCRYPTION_KEY=None)) == []


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        ({"GOVID_MANAGEMENT_PORT": None}, True),
        ({"GOVID_MANAGEMENT_PORT": None, "GOVID_METRICS_TOKEN": STRONG}, False),
        ({"GOVID_MANAGEMENT_PORT": 9000}, False),
    ],
)
def test_e1_it_is_reported_when_nothing_scrapes_the_metrics(
    change: dict[str, object], reported: bool
) -> None:
    sentence = "nothing can scrape /metrics: set GOVID_MANAGEMENT_PORT, or GOVID_METRICS_TOKEN"
    assert (sentence in warnings(settings(**change))) is reported


@pytest.mark.parametrize(
    ("token", "fault"),
    [
        ("short", "GOVID_METRICS_TOKEN is shorter than 32 bytes"),
        ("a" * 40, "GOVID_METRICS_TOKEN is too easy to guess"),
    ],
)
def test_e1_a_weak_token_is_a_fault(token: str, fault: str) -> None:
    assert blocking_problems(settings(GOVID_MANAGEMENT_PORT=None, GOVID_METRICS_TOKEN=token)) == [
        fault
    ]


def test_simulators_may_be_allowed_and_are_then_warned_of() -> None:
    chosen = settings(GOVID_PATIENT_REGISTRY="simulator", GOVID_ALLOW_SIMULATORS=True)
    assert blocking_problems(chosen) == []
    assert warnings(chosen) == [
        PLAINTEXT_ALLOWED,
        "GOVID_PATIENT_REGISTRY is simulated: verifications are not real",
        "GOVID_NINO_VERIFIER is off: verifications wait until it is available",
        "GOVID_TAX_RECORDS is off: tax records of HMRC are not available",
        "access tokens live longer than 15 minutes (GOVID_ACCESS_TOKEN_EXPIRE_MINUTES)",
        PAGES,
    ]


@pytest.mark.parametrize(
    ("place", "is_reported"),
    [
        ("db.internal/govid", True),
        ("db.internal/govid?sslmode=prefer", True),
        ("db.internal/govid?sslmode=require", True),
        ("127.0.0.1,db.internal/govid?sslmode=require", True),
        ("db.internal/govid?sslmode=disable", False),
        ("db.internal/govid?sslmode=verify-ca&sslrootcert=authority.crt", False),
        ("db.internal/govid?sslmode=require&sslrootcert=authority.crt", False),
        ("db.internal/govid?sslrootcert=system", False),
        ("127.0.0.1/govid", False),
        ("[::1]/govid", False),
        ("localhost/govid?sslmode=require", False),
        ("/govid?host=/run/postgresql", False),
        ("/govid", False),
    ],
)
def test_a_database_on_another_machine_is_warned_of_unless_it_is_verified(
    place: str, is_reported: bool
) -> None:
    Path("authority.crt").touch()
    chosen = settings(GOVID_DATABASE_URL=f"postgresql://govid:long-password@{place}")
    assert (UNVERIFIED in warnings(chosen)) is is_reported


@pytest.mark.parametrize(
    ("change", "is_reported"),
    [
        ({}, True),
        ({"GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092,kafka.internal:9092"}, True),
        ({"GOVID_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092,[::1]:9092"}, False),
        ({"GOVID_KAFKA_SECURITY_PROTOCOL": "SSL"}, False),
        ({"GOVID_KAFKA_ALLOW_PLAINTEXT": False}, False),
    ],
)
def test_kafka_on_another_machine_is_warned_of_unless_it_is_encrypted(
    change: dict[str, object], is_reported: bool
) -> None:
    assert (PLAINTEXT_ALLOWED in warnings(settings(**change))) is is_reported


def test_mail_leaves_by_a_server_as_soon_as_one_is_named() -> None:
    mail = settings(GOVID_SMTP_USERNAME="govid", GOVID_SMTP_PASSWORD="canary").identity.mail
    assert (mail.sender, mail.folder) == ("no-reply@example.com", None)
    assert mail.smtp is not None
    assert (mail.smtp.host, mail.smtp.port, mail.smtp.tls) == ("mail.internal", 587, "starttls")
    assert mail.smtp.password == "canary"
    assert "canary" not in repr(mail)


def test_without_mail_production_runs_and_says_what_that_means() -> None:
    chosen = settings(GOVID_MAIL="off")
    assert blocking_problems(chosen) == []
    assert (
        "GOVID_MAIL is off: forgotten passwords and email addresses cannot be changed"
        in warnings(chosen)
    )
    assert PAGES not in warnings(chosen)


def test_without_the_lists_production_runs_and_says_what_that_means() -> None:
    chosen = settings(GOVID_PASSWORD_CHECKS=False)
    assert blocking_problems(chosen) == []
    assert (
        "GOVID_PASSWORD_CHECKS is off: passwords that are easy to guess are accepted"
        in warnings(chosen)
    )


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"GOVID_MAIL": "folder"}, "GOVID_MAIL is a folder: no email would be sent"),
        (
            {"GOVID_SMTP_TLS": "none"},
            "GOVID_SMTP_TLS is none: links that set passwords would be sent unencrypted",
        ),
    ],
)
def test_mail_that_others_read_or_no_one_is_a_fault(changes: dict[str, object], fault: str) -> None:
    assert blocking_problems(settings(**changes)) == [fault]


@pytest.mark.parametrize("missing", ["GOVID_MAIL_FROM", "GOVID_SMTP_HOST"])
def test_a_mail_server_needs_its_address_and_ours(missing: str) -> None:
    with pytest.raises(SettingsError, match="GOVID_SMTP_HOST and GOVID_MAIL_FROM are needed"):
        settings(**{"GOVID_MAIL": "smtp", missing: None})


def test_departments_are_simulated_in_a_demonstration_and_off_in_production() -> None:
    assert load_from_environment(env_file=None, demonstration=True).nhs.registry == "simulator"
    assert load_from_environment(env_file=None, demonstration=True).hmrc.simulate_death is True
    assert settings().nhs.registry == "off"
    assert settings().hmrc.simulate_death is False


def test_the_removed_session_cache_is_refused_with_the_remedy() -> None:
    with pytest.raises(
        SettingsError,
        match=(
            r"GOVID_REVOCATION_CHECK \(command line\): "
            "the session cache has been removed: delete this setting"
        ),
    ):
        settings(GOVID_REVOCATION_CHECK="cache")


def test_the_only_mode_left_of_the_revocation_check_is_a_warning() -> None:
    chosen = settings(GOVID_REVOCATION_CHECK="transaction")
    assert blocking_problems(chosen) == []
    assert "GOVID_REVOCATION_CHECK is no longer needed: delete it" in warnings(chosen)


@pytest.mark.parametrize(
    ("file", "warning"),
    [
        ("checkpoint", None),
        ("present", None),
        ("missing/checkpoint", "is in a folder that is missing or cannot be written"),
        ("present/checkpoint", "is in a folder that is missing or cannot be written"),
        ("folder", "is no regular file that can be read"),
    ],
)
def test_r22_a_checkpoint_file_that_cannot_be_used_is_a_warning(
    tmp_path: Path, file: str, warning: str | None
) -> None:
    (tmp_path / "present").write_text("", "utf-8")
    (tmp_path / "folder").mkdir()
    chosen = settings(GOVID_AUDIT_CHECKPOINT_FILE=tmp_path / file)
    texts = [f"GOVID_AUDIT_CHECKPOINT_FILE {warning}: no checkpoint is kept outside the database"]
    found = [one for one in warnings(chosen) if "CHECKPOINT" in one]
    assert found == texts * (warning is not None)
