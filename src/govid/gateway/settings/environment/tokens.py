"""What signs access tokens, and how long they and sessions last."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, SecretStr

from govid.gateway.settings.environment.naming import named


def _without_cache(value: str) -> str:
    """Refuse the mode that earlier releases had, so that no one believes it is in force."""
    if value == "cache":
        raise ValueError("the session cache has been removed: delete this setting")
    return value


RevocationCheck = Annotated[Literal["transaction", "cache"], AfterValidator(_without_cache)]


class Tokens(BaseModel):
    """Settings of tokens, sessions and signing keys."""

    algorithm: Literal["ES256", "HS256"] = named(
        "ES256", "GOVID_ALGORITHM", "ALGORITHM", doc="Signature of access tokens"
    )
    secret_key: SecretStr | None = named(
        None,
        "GOVID_SECRET_KEY",
        "SECRET_KEY",
        doc="Signs access tokens under HS256: 32 bytes or more",
    )
    key_encryption_key: SecretStr | None = named(
        None,
        "GOVID_KEY_ENCRYPTION_KEY",
        doc="Encrypts stored signing keys, facts and consents: 32 bytes or more",
    )
    old_key_encryption_key: SecretStr | None = named(
        None,
        "GOVID_OLD_KEY_ENCRYPTION_KEY",
        doc="The earlier encryption key, to be read until `govid keys reencrypt` has ended",
    )
    access_token_minutes: float = named(
        30,
        "GOVID_ACCESS_TOKEN_EXPIRE_MINUTES",
        "ACCESS_TOKEN_EXPIRE_MINUTES",
        doc="Life of an access token",
        gt=0,
        le=1440,
    )
    session_token_seconds: int = named(
        300,
        "GOVID_SESSION_TOKEN_SECONDS",
        doc="Life of an access token that comes with a refresh token",
        ge=1,
        le=3600,
    )
    session_idle_seconds: int = named(
        3600,
        "GOVID_SESSION_IDLE_SECONDS",
        doc="How long a session may go unused; noted to the minute",
        ge=120,
    )
    session_absolute_seconds: int = named(
        43_200,
        "GOVID_SESSION_ABSOLUTE_SECONDS",
        doc="How long a session lasts, whatever is done with it",
        ge=1,
    )
    revocation_check: RevocationCheck = named(
        "transaction",
        "GOVID_REVOCATION_CHECK",
        doc="No longer needed, and known for one release only: each request reads its session",
    )
    jwks_max_age_seconds: int = named(
        300, "GOVID_JWKS_MAX_AGE_SECONDS", doc="How long others may keep our public keys", ge=1
    )
    key_publish_seconds: int = named(
        360,
        "GOVID_KEY_PUBLISH_SECONDS",
        doc="How long a new key is published before it signs; longer than others keep the keys",
        ge=1,
    )
    key_keep_seconds: int | None = named(
        None,
        "GOVID_KEY_KEEP_SECONDS",
        doc="How long a key is believed after it signed (default: as long as its tokens need)",
        ge=1,
    )
