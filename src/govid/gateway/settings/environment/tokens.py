"""Environment variables of access tokens, sessions and signing keys."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, SecretStr

from govid.gateway.settings.environment.naming import setting_field


def _without_cache(value: str) -> str:
    """Refuse the removed mode of earlier releases, so that no operator relies on it."""
    if value == "cache":
        raise ValueError("the session cache has been removed: delete this setting")
    return value


RevocationCheck = Annotated[Literal["transaction", "cache"], AfterValidator(_without_cache)]


class TokenVariables(BaseModel):
    """Variables of tokens, sessions and signing keys."""

    algorithm: Literal["ES256", "HS256"] = setting_field(
        "ES256", "GOVID_ALGORITHM", "ALGORITHM", doc="Signature algorithm of access tokens"
    )
    secret_key: SecretStr | None = setting_field(
        None,
        "GOVID_SECRET_KEY",
        "SECRET_KEY",
        doc="Key that signs access tokens under HS256: 32 bytes or more",
    )
    key_encryption_key: SecretStr | None = setting_field(
        None,
        "GOVID_KEY_ENCRYPTION_KEY",
        doc="Key that encrypts stored signing keys, facts and consents: 32 bytes or more",
    )
    old_key_encryption_key: SecretStr | None = setting_field(
        None,
        "GOVID_OLD_KEY_ENCRYPTION_KEY",
        doc="The earlier encryption key, needed until `govid keys reencrypt` has finished",
    )
    access_token_minutes: float = setting_field(
        30,
        "GOVID_ACCESS_TOKEN_EXPIRE_MINUTES",
        "ACCESS_TOKEN_EXPIRE_MINUTES",
        doc="Lifetime of an access token in minutes",
        gt=0,
        le=1440,
    )
    session_token_seconds: int = setting_field(
        300,
        "GOVID_SESSION_TOKEN_SECONDS",
        doc="Lifetime of an access token that is issued with a refresh token, in seconds",
        ge=1,
        le=3600,
    )
    session_idle_seconds: int = setting_field(
        3600,
        "GOVID_SESSION_IDLE_SECONDS",
        doc="Idle time after which a session expires, in seconds; recorded to the minute",
        ge=120,
    )
    session_absolute_seconds: int = setting_field(
        43_200,
        "GOVID_SESSION_ABSOLUTE_SECONDS",
        doc="Maximum lifetime of a session in seconds, used or not",
        ge=1,
    )
    revocation_check: RevocationCheck = setting_field(
        "transaction",
        "GOVID_REVOCATION_CHECK",
        doc="Deprecated and without effect; removed in the next release",
    )
    jwks_max_age_seconds: int = setting_field(
        300,
        "GOVID_JWKS_MAX_AGE_SECONDS",
        doc="Seconds that clients may cache the public keys",
        ge=1,
    )
    key_publish_seconds: int = setting_field(
        360,
        "GOVID_KEY_PUBLISH_SECONDS",
        doc="Seconds that a new key is published before it signs; longer than clients cache keys",
        ge=1,
    )
    key_keep_seconds: int | None = setting_field(
        None,
        "GOVID_KEY_KEEP_SECONDS",
        doc="Seconds that a key is accepted after it last signed (default: until tokens expire)",
        ge=1,
    )
