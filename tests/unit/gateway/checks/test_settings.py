"""Settings that can be read and are not safe: each is named, and its neighbours are not."""

from pathlib import Path

import pytest

from govid.gateway.checks.production import blocking_problems, warnings
from govid.gateway.checks.settings import is_guessable
from govid.gateway.http.cors import CorsPolicy, normalise_origin
from govid.gateway.settings import load_from_environment
from tests.unit.gateway.checks.test_production import GOOD, settings
from tests.unit.gateway.http.edge_application import asked_for

STRONG = "kP3vX9qLw2ZtR8mYb6NcJ4hGf7DsA1eUoQ5"
PROXIES = (
    "GOVID_TRUSTED_PROXIES trusts every address, so that each client can claim to be another: "
    "name the networks of your own machines"
)
DISABLED = (
    "GOVID_DATABASE_URL has sslmode=disable: passwords and data are sent unencrypted; use "
    "verify-full, or prefer where the network is protected otherwise"
)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.environ", {})
    monkeypatch.chdir(tmp_path)


def unsafe_url(query: str, host: str = "db.internal") -> dict[str, object]:
    return {"GOVID_DATABASE_URL": f"postgresql://govid:long-password@{host}/govid{query}"}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"GOVID_TRUSTED_PROXIES": "0.0.0.0/0"}, PROXIES),
        ({"GOVID_TRUSTED_PROXIES": "10.0.0.0/8,::/0"}, PROXIES),
        ({"GOVID_TRUSTED_PROXIES": "0.0.0.0/1,128.0.0.0/1"}, PROXIES),
        (
            {"GOVID_TRUSTED_CALLERS": "0.0.0.0/0"},
            PROXIES.replace("GOVID_TRUSTED_PROXIES", "GOVID_TRUSTED_CALLERS"),
        ),
        (
            {
                "GOVID_ADDRESS_FAILURES": 0,
                "GOVID_REGISTRATIONS_PER_HOUR": 0,
                "GOVID_DUPLICATES_PER_DAY": 0,
            },
            (
                "every throttle of a network is off: set GOVID_ADDRESS_FAILURES, "
                "GOVID_REGISTRATIONS_PER_HOUR or GOVID_DUPLICATES_PER_DAY"
            ),
        ),
        (
            {"GOVID_KEY_ENCRYPTION_KEY": GOOD["GOVID_PSEUDONYM_KEY"]},
            (
                "GOVID_KEY_ENCRYPTION_KEY is the same value as GOVID_PSEUDONYM_KEY: each secret "
                "needs a value of its own"
            ),
        ),
        (
            {"GOVID_ALGORITHM": "HS256", "GOVID_SECRET_KEY": GOOD["GOVID_PSEUDONYM_KEY"]},
            (
                "GOVID_SECRET_KEY is the same value as GOVID_PSEUDONYM_KEY: each secret needs a "
                "value of its own"
            ),
        ),
        (
            {
                "GOVID_MANAGEMENT_PORT": None,
                "GOVID_METRICS_TOKEN": GOOD["GOVID_PSEUDONYM_KEY"],
            },
            (
                "GOVID_METRICS_TOKEN is the same value as GOVID_PSEUDONYM_KEY: each secret needs a "
                "value of its own"
            ),
        ),
        (
            {"GOVID_PSEUDONYM_KEY": "12345678901234567890123456789012"},
            "GOVID_PSEUDONYM_KEY is too easy to guess",
        ),
        (unsafe_url("?sslmode=disable"), DISABLED),
        (unsafe_url("?sslmode=disable", "127.0.0.1,db.internal"), DISABLED),
    ],
)
def test_f4_an_unsafe_value_is_named(change: dict[str, object], fault: str) -> None:
    assert blocking_problems(settings(**change)) == [fault]


@pytest.mark.parametrize(
    "change",
    [
        {"GOVID_TRUSTED_PROXIES": "10.0.0.0/8,192.168.0.0/16"},
        {"GOVID_TRUSTED_PROXIES": "0.0.0.0/1"},
        {"GOVID_ADDRESS_FAILURES": 0, "GOVID_REGISTRATIONS_PER_HOUR": 0},
        unsafe_url("?sslmode=require"),
        unsafe_url("?sslmode=disable", "127.0.0.1"),
        unsafe_url("?sslmode=disable", "localhost"),
        {"GOVID_METRICS_TOKEN": STRONG},
    ],
)
def test_f4_a_safe_neighbour_is_not_named(change: dict[str, object]) -> None:
    assert blocking_problems(settings(**change)) == []


@pytest.mark.parametrize(
    ("secret", "guessable"),
    [
        (b"12345678901234567890123456789012", True),
        (b"01234567890123456789012345678901", True),
        (b"abcdefghijklmnopqrstuvwxyz123456", True),
        (b"zyxwvutsrqponmlkjihgfedcba987654", True),
        (b"password password password password ", True),
        (b"correct-horse-correct-horse-correct-horse-", True),
        (b"aaaaaaaabbbbbbbbccccccccdddddddd", True),
        (STRONG.encode(), False),
        (b"31415926535897932384626433832795", False),
        (bytes(range(0, 256, 8)), False),
    ],
)
def test_f4_a_secret_that_counts_or_repeats_is_guessable(secret: bytes, guessable: bool) -> None:
    assert is_guessable(secret) is guessable


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("https://app.example.org", "https://app.example.org"),
        ("https://app.example.org/", "https://app.example.org"),
        ("https://app.example.org:443", "https://app.example.org"),
        ("http://app.example.org:80/", "http://app.example.org"),
        ("https://app.example.org:8443", "https://app.example.org:8443"),
        ("HTTPS://App.Example.ORG", "https://app.example.org"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("https://app.example.org/app", None),
        ("https://app.example.org?x=1", None),
        ("https://user@app.example.org", None),
        ("app.example.org", None),
        ("https://*.example.org", None),
        ("https://app.example.org:0", None),
        ("https://app.example.org:99999", None),
        ("null", None),
        ("https://", None),
    ],
)
def test_d6_an_origin_has_one_normal_form(text: str, normal: str | None) -> None:
    assert normalise_origin(text) == normal


@pytest.mark.parametrize(
    "written",
    ["https://app.example.org/", "https://app.example.org:443", "HTTPS://App.Example.Org"],
)
def test_d6_an_origin_matches_however_it_was_written(written: str) -> None:
    origins = settings(GOVID_CORS_ORIGINS=f'["{written}"]').cors_origins
    exchange = asked_for("/", [(b"origin", b"https://app.example.org")])
    headers = dict(CorsPolicy(origins).response_headers(exchange))
    assert headers[b"access-control-allow-origin"] == b"https://app.example.org"


@pytest.mark.parametrize(
    "value",
    [
        "https://app.example.org/app",
        '["app.example.org"]',
        "https://*.example.org",
        "https://ok.example,null",
    ],
)
def test_d6_an_origin_that_no_browser_sends_is_a_fault(value: str) -> None:
    [fault] = blocking_problems(settings(GOVID_CORS_ORIGINS=value))
    assert fault.startswith("GOVID_CORS_ORIGINS holds ")
    assert fault.endswith(
        "which no browser sends: an origin is a scheme and a host, like https://app.example.org"
    )


@pytest.mark.parametrize(
    "value",
    ['["https://app.example.org/"]', "HTTPS://app.example.org:443", "http://localhost:3000"],
)
def test_d6_what_has_a_normal_form_is_no_fault(value: str) -> None:
    assert blocking_problems(settings(GOVID_CORS_ORIGINS=value)) == []


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("https://id.example.com?tenant=a", "a query"),
        ("https://id.example.com/#top", "a fragment"),
        ("https://id.example.com/?a#b", "a query and a fragment"),
    ],
)
def test_d10_a_public_url_holds_nothing_but_its_place(url: str, what: str) -> None:
    assert blocking_problems(settings(GOVID_PUBLIC_URL=url)) == [
        (
            f"GOVID_PUBLIC_URL holds {what}; it would be part of every token: give scheme, host "
            "and path only"
        )
    ]


@pytest.mark.parametrize("url", ["https://:8443", "https://id.example.com:x", "https://id example"])
def test_d10_a_public_url_without_a_host_is_a_fault(url: str) -> None:
    assert blocking_problems(settings(GOVID_PUBLIC_URL=url)) == ["GOVID_PUBLIC_URL names no host"]


@pytest.mark.parametrize("url", ["https://id.example.com/govid", "https://id.example.com:8443"])
def test_d10_a_path_and_a_port_are_no_fault(url: str) -> None:
    assert blocking_problems(settings(GOVID_PUBLIC_URL=url)) == []


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("GOVID_SMTP_PASSWORD='x$y${HOME}z'", "x$y${HOME}z"),
        ('GOVID_SMTP_PASSWORD="a${GOVID_PORT}b"', "a${GOVID_PORT}b"),
        ("GOVID_SMTP_PASSWORD=${UNSET:-none}", "${UNSET:-none}"),
    ],
)
def test_f3_an_env_file_is_taken_as_written_and_named(
    tmp_path: Path, line: str, value: str
) -> None:
    (tmp_path / ".env").write_text(f"GOVID_SMTP_USERNAME=govid\n{line}\n")
    found = load_from_environment({**GOOD})
    assert found.identity.mail.smtp is not None
    assert found.identity.mail.smtp.password == value
    assert (
        "GOVID_SMTP_PASSWORD in .env contains ${: it is used as written, without substitution"
        in warnings(found)
    )
    assert value not in " ".join(warnings(found))


def test_f3_a_dollar_without_a_brace_is_no_warning(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GOVID_SMTP_USERNAME=govid\nGOVID_SMTP_PASSWORD='x$y'\n")
    assert load_from_environment({**GOOD}).notices == ()
