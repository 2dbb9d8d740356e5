"""The settings of the connection to Kafka: what belongs together, and what has no effect."""

from pathlib import Path

import pytest

from govid.gateway.checks.production import blocking_problems, warnings
from govid.gateway.settings import Settings, SettingsError, load_from_environment

PROTOCOL = "GOVID_KAFKA_SECURITY_PROTOCOL"
USER = {"GOVID_KAFKA_SASL_USERNAME": "govid", "GOVID_KAFKA_SASL_PASSWORD": "p@ss/w%rd x"}
CLIENT = {
    "GOVID_KAFKA_OAUTH_TOKEN_URL": "https://login.example/token",
    "GOVID_KAFKA_OAUTH_CLIENT_ID": "govid",
    "GOVID_KAFKA_OAUTH_CLIENT_SECRET": "secret",
}
TOKENS = {PROTOCOL: "SASL_SSL", "GOVID_KAFKA_SASL_MECHANISM": "OAUTHBEARER", **CLIENT}


def load(values: dict[str, object]) -> Settings:
    return load_from_environment(
        {"GOVID_KAFKA_BOOTSTRAP_SERVERS": "k:9093", **values}, env_file=None
    )


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (
            {PROTOCOL: "SASL_SSL", "GOVID_KAFKA_SASL_USERNAME": "govid"},
            (
                "GOVID_KAFKA_SASL_PASSWORD is not set, which "
                "GOVID_KAFKA_SECURITY_PROTOCOL=SASL_SSL needs"
            ),
        ),
        (
            USER,
            (
                "GOVID_KAFKA_SASL_USERNAME has no effect with "
                "GOVID_KAFKA_SECURITY_PROTOCOL=PLAINTEXT; "
                "GOVID_KAFKA_SASL_PASSWORD has no effect with "
                "GOVID_KAFKA_SECURITY_PROTOCOL=PLAINTEXT"
            ),
        ),
        (
            {"GOVID_KAFKA_SSL_CA_FILE": "/ca.crt"},
            "GOVID_KAFKA_SSL_CA_FILE has no effect with GOVID_KAFKA_SECURITY_PROTOCOL=PLAINTEXT",
        ),
        (
            {PROTOCOL: "SSL", "GOVID_KAFKA_SSL_KEY_FILE": "/key.pem"},
            "GOVID_KAFKA_SSL_KEY_FILE has no effect with no GOVID_KAFKA_SSL_CERTIFICATE_FILE",
        ),
        (
            {PROTOCOL: "SSL", **USER},
            (
                "GOVID_KAFKA_SASL_USERNAME has no effect with GOVID_KAFKA_SECURITY_PROTOCOL=SSL; "
                "GOVID_KAFKA_SASL_PASSWORD has no effect with GOVID_KAFKA_SECURITY_PROTOCOL=SSL"
            ),
        ),
        (
            {k: v for k, v in TOKENS.items() if k != "GOVID_KAFKA_OAUTH_CLIENT_ID"},
            (
                "GOVID_KAFKA_OAUTH_CLIENT_ID is not set, which "
                "GOVID_KAFKA_SASL_MECHANISM=OAUTHBEARER needs"
            ),
        ),
        (
            {**TOKENS, "GOVID_KAFKA_SASL_USERNAME": "govid"},
            "GOVID_KAFKA_SASL_USERNAME has no effect with GOVID_KAFKA_SASL_MECHANISM=OAUTHBEARER",
        ),
        (
            {PROTOCOL: "SASL_SSL", **USER, "GOVID_KAFKA_OAUTH_SCOPE": "kafka"},
            "GOVID_KAFKA_OAUTH_SCOPE has no effect with GOVID_KAFKA_SASL_MECHANISM=SCRAM-SHA-512",
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(
    values: dict[str, object], problem: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        load(values)
    assert raised.value.problems == [problem]


def test_an_unknown_protocol_is_refused_with_those_that_exist() -> None:
    with pytest.raises(SettingsError) as raised:
        load({PROTOCOL: "SASL_PLAINTEXT"})
    (problem,) = raised.value.problems
    assert "'PLAINTEXT', 'SSL' or 'SASL_SSL'" in problem


def test_a_password_of_a_file_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    monkeypatch.setenv("GOVID_KAFKA_SASL_PASSWORD_FILE", str(file))
    security = load({PROTOCOL: "SASL_SSL", "GOVID_KAFKA_SASL_USERNAME": "govid"}).bus.kafka_security
    assert security.sasl_password.read() == "first"
    file.write_text("second\n")
    assert security.sasl_password.read() == "second"


def test_a_password_of_the_secrets_directory_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "GOVID_KAFKA_SASL_PASSWORD"
    file.write_text("first\n")
    monkeypatch.setenv("GOVID_SECRETS_DIR", str(tmp_path))
    security = load({PROTOCOL: "SASL_SSL", "GOVID_KAFKA_SASL_USERNAME": "govid"}).bus.kafka_security
    file.write_text("second\n")
    assert security.sasl_password.read() == "second"


def test_a_file_of_the_env_file_yields_to_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text("of the file")
    env_file = tmp_path / ".env"
    env_file.write_text(f"GOVID_KAFKA_SASL_PASSWORD_FILE={tmp_path / 'password'}\n")
    monkeypatch.setenv("GOVID_KAFKA_SASL_PASSWORD", "of the environment")
    settings = load_from_environment(
        {PROTOCOL: "SASL_SSL", "GOVID_KAFKA_SASL_USERNAME": "govid"}, env_file=env_file
    )
    assert settings.bus.kafka_security.sasl_password.read() == "of the environment"


def test_no_secret_is_in_a_repr() -> None:
    settings = load({PROTOCOL: "SASL_SSL", **USER})
    shown = repr(settings) + repr(settings.bus) + repr(settings.bus.kafka_security)
    assert "p@ss" not in shown + repr(settings.bus.kafka_security.sasl_password)
    assert "p@ss" not in repr(settings.table)


def test_encryption_makes_the_permission_of_plaintext_unnecessary() -> None:
    def names_kafka(values: dict[str, object]) -> bool:
        return any("Kafka is reached" in one for one in blocking_problems(load(values)))

    assert names_kafka({})
    assert not names_kafka({"GOVID_KAFKA_ALLOW_PLAINTEXT": True})
    assert not names_kafka({PROTOCOL: "SASL_SSL", **USER})


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://login.example/token", "is not an https address"),
        ("https:///token", "is not an https address"),
        ("login.example/token", "is not an https address"),
        (
            "https://govid:s3cret@login.example/token",
            "has a user, a password or a fragment, which do not belong there",
        ),
    ],
)
def test_no_command_sends_a_secret_to_an_unsafe_token_endpoint(url: str, problem: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load({**TOKENS, "GOVID_KAFKA_OAUTH_TOKEN_URL": url})
    assert raised.value.problems == [f"GOVID_KAFKA_OAUTH_TOKEN_URL {problem}"]


def test_an_unencrypted_token_endpoint_of_this_machine_does_not_serve_production() -> None:
    found = blocking_problems(load({**TOKENS, "GOVID_KAFKA_OAUTH_TOKEN_URL": "http://127.0.0.1:1"}))
    assert "GOVID_KAFKA_OAUTH_TOKEN_URL is not an https address" in found
    assert not any("OAUTH" in one for one in blocking_problems(load(TOKENS)))


def test_a_client_that_kafka_cannot_know_is_a_warning() -> None:
    expected = (
        "Kafka does not know who govid is, so every client may write to its topics: "
        "GOVID_KAFKA_SECURITY_PROTOCOL is SSL, without GOVID_KAFKA_SSL_CERTIFICATE_FILE"
    )
    assert expected in warnings(load({PROTOCOL: "SSL"}))
    assert expected not in warnings(load({PROTOCOL: "SASL_SSL", **USER}))


def test_settings_are_equal_if_only_the_content_of_a_file_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    values = {PROTOCOL: "SASL_SSL", "GOVID_KAFKA_SASL_USERNAME": "govid"}
    monkeypatch.setenv("GOVID_KAFKA_SASL_PASSWORD_FILE", str(file))
    file.write_text("first")
    before = load(values).bus.kafka_security
    file.write_text("second")
    assert load(values).bus.kafka_security == before
    monkeypatch.delenv("GOVID_KAFKA_SASL_PASSWORD_FILE")
    assert load({**values, "GOVID_KAFKA_SASL_PASSWORD": "first"}).bus.kafka_security != before
