"""Settings: which source counts, what is refused, and that no secret is ever shown."""

from pathlib import Path

import pytest

import govid
from govid.bus.events import Topic
from govid.gateway.settings import Settings, SettingsError, load_from_environment, render_example

ROOT = Path(govid.__file__).parents[2]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start from an empty environment, in an empty folder."""
    monkeypatch.setattr("os.environ", {})
    monkeypatch.chdir(tmp_path)


def env_file(text: str) -> None:
    Path(".env").write_text(text, "utf-8")


def source_of(settings: Settings, name: str) -> str:
    return next(row.source for row in settings.table if row.name == name)


def shown(settings: Settings, name: str) -> str:
    return next(row.value for row in settings.table if row.name == name)


def test_nothing_set_is_enough_to_read() -> None:
    settings = load_from_environment()
    assert settings.host == "127.0.0.1"
    assert settings.port == 8000
    assert settings.data_dir == Path(".govid")
    assert settings.public_url == "http://127.0.0.1:8000"
    assert settings.bus.database_url == ""
    assert settings.bus.kafka_bootstrap_servers == ""
    assert settings.bus.pseudonym_key == b""


def test_the_command_line_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVID_PORT", "8001")
    settings = load_from_environment({"GOVID_PORT": 8002})
    assert settings.port == 8002
    assert source_of(settings, "GOVID_PORT") == "command line"


def test_an_old_name_in_the_environment_beats_a_new_one_in_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    env_file("GOVID_KAFKA_BOOTSTRAP_SERVERS=new:9092\n")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "old:9092")
    settings = load_from_environment()
    assert settings.bus.kafka_bootstrap_servers == "old:9092"
    assert source_of(settings, "GOVID_KAFKA_BOOTSTRAP_SERVERS") == "environment"


def test_an_old_file_is_read_whole() -> None:
    env_file(
        "DB_USER=us@er\nDB_PASSWORD=p/w\nDB_HOST=postgres_db\nDB_PORT=5433\nDB_NAME=identity\n"
        "KAFKA_BOOTSTRAP_SERVERS=kafka:29092\nKAFKA_CLIENT_ID=old-client\n"
        "IDENTITY_VERIFICATION_REQUEST_TOPIC=a.request\n"
        "IDENTITY_VERIFICATION_RESULT_TOPIC=a.result\nHMRC_DEATH_NOTIFICATION_TOPIC=a.death\n"
        'BACKEND_CORS_ORIGINS=["http://localhost:3000", "http://localhost:8080"]\n'
        "KAFKA_BROKER_URL=ignored\nBACKEND_CORS_ORIGINS_NHS=ignored\n"
    )
    settings = load_from_environment()
    assert settings.bus.database_url == "postgresql://us%40er:p%2Fw@postgres_db:5433/identity"
    assert settings.bus.kafka_bootstrap_servers == "kafka:29092"
    assert settings.bus.kafka_client_id == "old-client"
    assert settings.bus.wire_name(Topic.VERIFICATION_REQUEST) == "a.request"
    assert settings.bus.wire_name(Topic.VERIFICATION_RESULT) == "a.result"
    assert settings.bus.wire_name(Topic.DEATH_NOTIFICATION) == "a.death"
    assert settings.cors_origins == ("http://localhost:3000", "http://localhost:8080")
    assert settings.is_set("GOVID_DATABASE_URL")
    assert settings.is_set("GOVID_KAFKA_BOOTSTRAP_SERVERS")
    assert not settings.is_set("GOVID_PORT")


def test_the_url_beats_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_HOST", "elsewhere")
    env_file("GOVID_DATABASE_URL=postgresql://a:b@here/c\n")
    assert load_from_environment().bus.database_url == "postgresql://a:b@here/c"


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("*", ("*",)),
        ("https://a.example, https://b.example/", ("https://a.example", "https://b.example")),
        ('["https://a.example"]', ("https://a.example",)),
        ("", ()),
    ],
)
def test_origins_in_every_notation(
    monkeypatch: pytest.MonkeyPatch, text: str, origins: tuple[str, ...]
) -> None:
    monkeypatch.setenv("BACKEND_CORS_ORIGINS", text)
    assert load_from_environment().cors_origins == origins


def test_a_demonstration_on_this_machine_answers_to_this_machines_names() -> None:
    env_file("GOVID_PORT=8001\n")
    names = ("127.0.0.1", "[::1]", "localhost", "127.0.0.1:8001")
    assert load_from_environment(demonstration=True).allowed_hosts == names
    assert load_from_environment().allowed_hosts == ()


def test_an_exposed_demonstration_answers_to_any_name() -> None:
    env_file("GOVID_HOST=0.0.0.0\n")
    assert load_from_environment(demonstration=True).allowed_hosts == ()


@pytest.mark.parametrize("text", ["https://id.example", "id.example/x", "id example", "a..", "-"])
def test_a_host_that_no_client_would_send_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("GOVID_ALLOWED_HOSTS", text)
    with pytest.raises(SettingsError) as caught:
        load_from_environment()
    assert caught.value.problems == [
        (
            "GOVID_ALLOWED_HOSTS (environment): a host is a name or an address, "
            "without https:// and without a path"
        )
    ]


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    env_file("GOVID_DATABASE_ULR=postgresql://a:hidden@b/c\n")
    with pytest.raises(SettingsError) as caught:
        load_from_environment()
    assert caught.value.problems == [
        "GOVID_DATABASE_ULR in .env is no setting of govid: did you mean GOVID_DATABASE_URL?",
    ]


@pytest.mark.parametrize("name", ["GOVID_FOO", "GOVID_XYZZY", "GOVID_Q"])
def test_f10_an_unknown_name_that_is_near_to_none_gets_no_advice(name: str) -> None:
    env_file(f"{name}=1\n")
    with pytest.raises(SettingsError) as caught:
        load_from_environment()
    assert caught.value.problems == [f"{name} in .env is no setting of govid"]


@pytest.mark.parametrize(
    "name",
    [
        "GOVID_NHS_BASE_URL",
        "GOVID_HMRC_BASE_URL",
        "GOVID_HMRC_CONSENT_URL",
        "GOVID_HMRC_REDIRECT_URI",
        "GOVID_SMTP_HOST",
        "GOVID_PUBLIC_URL",
        "GOVID_CORS_ORIGINS",
        "DB_HOST",
        "GOVID_KAFKA_BOOTSTRAP_SERVERS",
    ],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "https://govid:s3c/ret@other.example")
    with pytest.raises(SettingsError) as error:
        load_from_environment(env_file=None)
    (problem,) = error.value.problems
    assert problem.startswith(f"{name} (environment): ")
    assert not any(part in problem for part in ("s3c", "ret@"))


def test_all_faults_are_reported_at_once_and_without_their_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    env_file("GOVID_HOTS=x\n")
    monkeypatch.setenv("GOVID_PORT", "-1")
    monkeypatch.setenv("GOVID_CORS_ORIGINS", "[secret-word")
    with pytest.raises(SettingsError) as caught:
        load_from_environment()
    assert caught.value.problems == [
        "GOVID_HOTS in .env is no setting of govid: did you mean GOVID_HOST?",
        "GOVID_PORT (environment): input should be greater than or equal to 0",
        "GOVID_CORS_ORIGINS (environment): neither a JSON list nor a list with commas",
    ]


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file, and long enough for a key\n", "utf-8")
    monkeypatch.setenv("GOVID_PSEUDONYM_KEY_FILE", str(tmp_path / "key"))
    assert load_from_environment().bus.pseudonym_key == b"from a file, and long enough for a key"


def test_a_secret_twice_and_a_file_that_is_not_there_are_faults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GOVID_PSEUDONYM_KEY", "x")
    monkeypatch.setenv("GOVID_PSEUDONYM_KEY_FILE", "/x")
    monkeypatch.setenv("SECRET_KEY_FILE", "/nowhere/at/all")
    with pytest.raises(SettingsError) as caught:
        load_from_environment()
    assert caught.value.problems == [
        "GOVID_PSEUDONYM_KEY and GOVID_PSEUDONYM_KEY_FILE are both set: keep one",
        "SECRET_KEY_FILE names a file that cannot be read",
    ]


def test_a_folder_of_secrets_is_weaker_than_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "GOVID_PSEUDONYM_KEY").write_text("from the folder", "utf-8")
    (folder / "GOVID_DATABASE_URL").write_text("postgresql://folder/x", "utf-8")
    monkeypatch.setenv("GOVID_SECRETS_DIR", str(folder))
    env_file("GOVID_PSEUDONYM_KEY=from the file\n")
    settings = load_from_environment()
    assert settings.bus.pseudonym_key == b"from the file"
    assert settings.bus.database_url == "postgresql://folder/x"


def test_secrets_are_masked_in_the_table_and_absent_from_the_repr(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET_KEY", "canary-of-the-key")
    monkeypatch.setenv("GOVID_DATABASE_URL", "postgresql://a:canary@b/c")
    settings = load_from_environment()
    assert shown(settings, "GOVID_SECRET_KEY") == "********"
    assert shown(settings, "GOVID_DATABASE_URL") == "********"
    assert repr(settings) == "<Settings>"
    assert "canary" not in repr(settings.table)


def test_the_example_file_is_fresh() -> None:
    assert (ROOT / ".env.example").read_text("utf-8") == render_example()


def test_the_example_file_holds_the_defaults() -> None:
    env_file(render_example().replace("\n# GOVID_", "\nGOVID_").replace("\n# DB_", "\nDB_"))
    assert load_from_environment().bus == load_from_environment(env_file=None).bus
    assert load_from_environment().public_url == load_from_environment(env_file=None).public_url


@pytest.mark.parametrize(("demonstration", "checked"), [(True, False), (False, True)])
def test_r2_passwords_are_checked_unless_it_is_a_demonstration(
    demonstration: bool, checked: bool
) -> None:
    assert load_from_environment(demonstration=demonstration).identity.password_checks is checked


@pytest.mark.parametrize("demonstration", [True, False])
@pytest.mark.parametrize("checked", [True, False])
def test_r2_whether_passwords_are_checked_can_be_reported(
    demonstration: bool, checked: bool
) -> None:
    settings = load_from_environment(
        {"GOVID_PASSWORD_CHECKS": checked}, demonstration=demonstration
    )
    assert settings.identity.password_checks is checked


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('GOVID_PORT=8001\nno assignment "\n', 2),
        ("GOVID_HOST='127.0.0.1\nGOVID_PORT=8001\n", 1),
        ("\n\n= 1\nGOVID_PORT=8001\n", 3),
    ],
)
def test_f3_a_line_that_cannot_be_read_is_said_without_its_text(
    content: str, line: int, caplog: pytest.LogCaptureFixture
) -> None:
    env_file(content)
    settings = load_from_environment()
    assert settings.port == 8001
    assert settings.notices == (f"line {line} of .env is not NAME=value and is ignored",)
    assert caplog.records == []


def test_f3_a_file_that_is_no_text_is_a_fault_with_its_name() -> None:
    Path(".env").write_bytes(b"GOVID_PORT=8001\nGOVID_PUBLIC_URL=\xff\n")
    with pytest.raises(SettingsError) as caught:
        load_from_environment()
    assert caught.value.problems == [".env is not UTF-8 (byte 33)"]


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_f3_what_is_in_the_place_of_the_file_is_a_fault(kind: str) -> None:
    place = Path(".env")
    place.mkdir() if kind == "folder" else place.symlink_to("gone")
    with pytest.raises(SettingsError) as caught:
        load_from_environment()
    assert caught.value.problems == [".env is not a file"]
