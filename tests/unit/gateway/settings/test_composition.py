"""The modules' settings are built from the variables: none is forgotten, and the types agree."""

from typing import Any

import pytest
from pydantic import ConfigDict, TypeAdapter

from govid.bus import BusSettings
from govid.gateway.settings.environment import Environment
from govid.gateway.settings.model import Settings, build_settings
from govid.hmrc import HmrcSettings
from govid.identity import IdentitySettings
from govid.nhs import NhsSettings

MAIL = {"GOVID_MAIL": "smtp", "GOVID_MAIL_FROM": "a@b.example", "GOVID_SMTP_HOST": "smtp.example"}
SECRETS = {
    name: name.casefold()
    for name in (
        *("DB_HOST", "DB_PASSWORD", "GOVID_METRICS_TOKEN", "GOVID_SMTP_PASSWORD"),
        *("GOVID_PSEUDONYM_KEY", "GOVID_OLD_PSEUDONYM_KEYS", "GOVID_SECRET_KEY"),
        *("GOVID_KEY_ENCRYPTION_KEY", "GOVID_OLD_KEY_ENCRYPTION_KEY"),
    )
}
REMOTE = {
    "GOVID_NHS_BASE_URL": "https://nhs.example",
    "GOVID_NHS_CLIENT_ID": "client",
    "GOVID_NHS_KEY_ID": "key",
    "GOVID_NHS_PRIVATE_KEY": "pem",
    "GOVID_NHS_ODS_CODE": "A20047",
    "GOVID_NHS_ENDPOINT": "1",
    "GOVID_NHS_PRACTICES": "Cardiology=2000011147@A20047",
    "GOVID_HMRC_BASE_URL": "https://hmrc.example",
    "GOVID_HMRC_CLIENT_ID": "client",
    "GOVID_HMRC_CLIENT_SECRET": "secret",
    "GOVID_HMRC_REDIRECT_URI": "https://service.example/back",
}
EVERYTHING = {**MAIL, **SECRETS, **REMOTE}


class RecordedEnvironment(Environment):
    """Records which attributes are read."""

    def __getattribute__(self, name: str) -> Any:
        """Record *name*."""
        READ.add(name)
        return super().__getattribute__(name)


READ: set[str] = set()


def test_every_variable_but_the_deprecated_one_is_read() -> None:
    READ.clear()
    build_settings(RecordedEnvironment(**EVERYTHING), (), demonstration=True)
    assert Environment.model_fields.keys() - READ == {"revocation_check"}


@pytest.mark.parametrize("variables", [{}, MAIL, EVERYTHING], ids=["none", "mail", "everything"])
@pytest.mark.parametrize("demonstration", [False, True])
def test_values_have_the_types_that_the_modules_declare(
    variables: dict[str, str], demonstration: bool
) -> None:
    settings = build_settings(Environment(**variables), (), demonstration=demonstration)
    identity = settings.identity
    assert_types(settings, Settings)
    assert_types(settings.bus, BusSettings)
    assert_types(settings.nhs, NhsSettings)
    assert_types(settings.nhs.quotas, type(settings.nhs.quotas))
    assert_types(settings.hmrc, HmrcSettings)
    assert_types(settings.hmrc.quotas, type(settings.hmrc.quotas))
    assert_types(identity, IdentitySettings)
    assert_types(identity.throttle, type(identity.throttle))
    assert_types(identity.quotas, type(identity.quotas))


def test_the_mail_server_has_the_types_that_identity_declares() -> None:
    smtp = build_settings(Environment(**EVERYTHING), (), demonstration=True).identity.mail.smtp
    assert smtp is not None
    assert_types(smtp, type(smtp))
    assert (smtp.host, smtp.port, smtp.password) == ("smtp.example", 587, "govid_smtp_password")


def assert_types(struct: Any, kind: type[Any]) -> None:
    """Validate each field of *struct* by its declared type, without any conversion."""
    assert type(struct) is kind
    for field in kind.__struct_fields__:
        declared = kind.__annotations__[field]
        TypeAdapter(declared, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(
            getattr(struct, field), strict=True
        )
