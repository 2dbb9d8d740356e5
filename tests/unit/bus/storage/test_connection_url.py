"""What libpq's users write in a URL is read, or named as unsupported."""

from pathlib import Path

import pytest

from govid.bus.storage.connection_url import ConnectionUrl, InvalidConnectionUrl, parse_url


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PGSERVICE", "PGSERVICEFILE", "PGSSLROOTCERT", "PGTARGETSESSIONATTRS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def faults(url: str) -> tuple[str, ...]:
    with pytest.raises(InvalidConnectionUrl) as caught:
        parse_url(url)
    return caught.value.problems


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://db/govid", (("db", None),)),
        ("postgres://db:6432/govid", (("db", 6432),)),
        ("postgresql+asyncpg://db:6432/govid", (("db", 6432),)),
        ("postgresql://one:1,two:2/govid", (("one", 1), ("two", 2))),
        ("postgresql://one,two/govid?port=7", (("one", 7), ("two", 7))),
        ("postgresql://[2001:db8::1]:6432/govid", (("2001:db8::1", 6432),)),
        ("postgresql:///govid?host=/run/postgresql", (("/run/postgresql", None),)),
        ("postgresql://%2Frun%2Fpostgresql/govid", (("/run/postgresql", None),)),
        ("postgresql:///govid?host=one,two&port=1,2", (("one", 1), ("two", 2))),
        ("postgresql:///govid?host=2001:db8::1", (("2001:db8::1", None),)),
        ("postgresql:///govid?port=7", (("localhost", 7),)),
        ("postgresql:///govid", ()),
    ],
)
def test_c2_hosts(url: str, hosts: tuple[tuple[str, int | None], ...]) -> None:
    assert parse_url(url).hosts == hosts


@pytest.mark.parametrize(
    ("url", "user", "password"),
    [
        ("postgresql://a:b@db/x", "a", "b"),
        ("postgresql://a:p%40ss%2Fword@db/x", "a", "p@ss/word"),
        ("postgresql://a:p/w@db/x", "a", "p/w"),
        ("postgresql://a:p?w@db/x", "a", "p?w"),
        ("postgresql://a:p:w@db/x", "a", "p:w"),
        ("postgresql://a@db/x", "a", None),
        ("postgresql://db/x?user=a&password=b", "a", "b"),
        ("postgresql://db:5432/x?application_name=a@b", None, None),
        ("postgresql://a:1%2B1+1@db/x", "a", "1+1+1"),
    ],
)
def test_c2_credentials(url: str, user: str | None, password: str | None) -> None:
    read = parse_url(url)
    assert (read.user, read.password, read.database) == (user, password, "x")


@pytest.mark.parametrize(
    ("query", "member", "value"),
    [
        ("application_name=payroll", "application_name", "payroll"),
        ("fallback_application_name=payroll", "application_name", "payroll"),
        ("connect_timeout=10", "connect_seconds", 10),
        ("connect_timeout=1", "connect_seconds", 2),
        ("connect_timeout=0", "connect_seconds", None),
        ("options=-c%20work_mem=8MB", "options", {"work_mem": "8MB"}),
        (
            "options=-cgeqo=off%20--enable-nestloop=on",
            "options",
            {"geqo": "off", "enable_nestloop": "on"},
        ),
        ("options=-c%20DateStyle=ISO,%5C%20MDY", "options", {"DateStyle": "ISO, MDY"}),
        ("target_session_attrs=read-write", "target_session_attrs", "read-write"),
        ("load_balance_hosts=random", "shuffles_hosts", True),
        ("sslmode=require", "tls", {"sslmode": "require"}),
        ("requiressl=1", "tls", {"sslmode": "require"}),
        (
            "sslmode=verify-full&sslrootcert=system",
            "tls",
            {"sslmode": "verify-full", "sslrootcert": "system"},
        ),
        ("ssl_min_protocol_version=TLSv1.3", "tls", {"ssl_min_protocol_version": "TLSv1.3"}),
        (
            "keepalives_idle=30&tcp_user_timeout=9000",
            "socket",
            {"keepalives_idle": 30, "tcp_user_timeout": 9000},
        ),
        ("gssencmode=disable&channel_binding=prefer&client_encoding=UTF8&sslsni=1", "tls", {}),
    ],
)
def test_c2_parameter_is_read(query: str, member: str, value: object) -> None:
    assert getattr(parse_url(f"postgresql://db/x?{query}"), member) == value


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("hostaddr=10.0.0.1", "govid does not support its parameter hostaddr"),
        ("require_auth=scram-sha-256", "govid does not support its parameter require_auth"),
        ("krbsrvname=x", "govid does not support its parameter krbsrvname"),
        (
            "channel_binding=require",
            "govid does not support this value of the parameter channel_binding",
        ),
        ("gssencmode=require", "govid does not support this value of the parameter gssencmode"),
        (
            "client_encoding=LATIN1",
            "govid does not support this value of the parameter client_encoding",
        ),
        (
            "pgbouncer=true",
            (
                "PostgreSQL has no parameter pgbouncer; "
                "write a setting of the server as options=-c%20name%3Dvalue"
            ),
        ),
        (
            "sslmode=on",
            (
                "its parameter sslmode is not one of: "
                "allow, disable, prefer, require, verify-ca, verify-full"
            ),
        ),
        (
            "target_session_attrs=standby",
            "its parameter target_session_attrs is not one of: any, primary, read-write",
        ),
        ("connect_timeout=soon", "its parameter connect_timeout is not a whole number"),
        ("options=-d", "its parameter options holds something else than -c name=value"),
        ("sslrootcert=/nowhere/ca.crt", "the file of its parameter sslrootcert cannot be read"),
        ("passfile=/nowhere/pass", "the file of its parameter passfile cannot be read"),
        (
            "sslmode=verify-full",
            "its parameter sslmode=verify-full needs sslrootcert, or sslrootcert=system",
        ),
        (
            "sslmode=require&sslrootcert=system",
            "its parameter sslrootcert=system needs sslmode=verify-full",
        ),
        ("service=absent", "its service is in no service file that can be read"),
        ("port=1,2", "it has another number of ports than of hosts"),
        ("port=0", "one of its ports is not a number from 1 to 65535"),
        ("sslmode=prefer&sslmode=disable", "its parameter sslmode is given twice"),
    ],
)
def test_c2_what_cannot_be_had_is_named(query: str, fault: str) -> None:
    assert faults(f"postgresql://db/x?{query}") == (fault,)


@pytest.mark.parametrize("url", ["mysql://db/x", "db/x", "", "postgresql:/db"])
def test_c2_other_schemes_are_named(url: str) -> None:
    assert faults(url) == ("it does not begin with postgresql://",)


def test_c2_all_faults_are_named_at_once_and_none_repeats_a_value() -> None:
    found = faults("postgresql://a:s3cret@db/x?hostaddr=s3cret&sslmode=s3cret&s3cret!=1")
    assert len(found) == 3
    assert "s3cret" not in str(found)


@pytest.mark.parametrize(
    "password",
    ["w@eb/pw1", "w@eb", "w@eb?pw1", "w@eb?", "w@eb?pw=1", "w@eb/pw?1", "@", "w@eb:5433/pw1"],
)
def test_c2_a_password_that_is_not_encoded_is_named_and_no_part_of_it_repeated(
    password: str,
) -> None:
    (fault,) = faults(f"postgresql://govid:{password}@db.internal:25433/govid?sslmode=require")
    assert fault == (
        "an @ follows the one that ends user and password: write @ as %40, / as %2F, % as %25, "
        ": as %3A and a space as %20 in the user, the password and the name of the database"
    )


def test_c2_parameters_may_contain_an_at_sign() -> None:
    read = parse_url("postgresql://a:b@db/x?application_name=a@b&user=me@server")
    assert (read.application_name, read.user) == ("a@b", "me@server")


def test_c2_service_file_adds_what_the_url_leaves_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "services"
    file.write_text("[main]\nhost=db\nport=6432\nuser=a\ndbname=y\nconnect_timeout=7\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    read = parse_url("postgresql://b@/?service=main")
    assert (read.hosts, read.user, read.database) == ((("db", 6432),), "b", "y")
    assert read.connect_seconds == 7


@pytest.mark.parametrize(
    ("query", "hosts", "demands"),
    [
        ("", "one", False),
        ("target_session_attrs=primary", "one", True),
        ("", "one,two", True),
        ("target_session_attrs=any", "one,two", False),
    ],
)
def test_c2_of_several_hosts_one_that_accepts_writes_is_wanted(
    query: str, hosts: str, demands: bool
) -> None:
    assert parse_url(f"postgresql://{hosts}/x?{query}").demands_writes is demands


def test_url_shows_no_password() -> None:
    read = parse_url("postgresql://a:s3cret@db/x")
    assert isinstance(read, ConnectionUrl)
    assert "s3cret" not in repr(read)
