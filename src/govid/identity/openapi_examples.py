"""Examples in the OpenAPI document: those of the contract, which work when sent in this order."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from litestar.openapi.spec import Example

from govid.bus.shared.contract import AccountStatus
from govid.identity.schemas import (
    DiscoveryView,
    GrantView,
    PasswordPolicyView,
    SessionView,
    TokenView,
    UserView,
)

REGISTER: dict[str, Any] = {
    "email": "test.nin@example.com",
    "password": "password123",
    "identifierType": "NIN",
    "identifierValue": "AB123456C",
    "phoneNumber": "+447123456789",
}
REGISTER_NHS: dict[str, Any] = {
    "email": "test.nhs@example.com",
    "password": "password123",
    "identifierType": "NHS",
    "identifierValue": "NHS123456789",
}
FACTS: dict[str, Any] = {
    "givenName": "Bill",
    "familyName": "Garton",
    "dateOfBirth": "1946-06-23",
    "postcode": "DN18 5DW",
}
REGISTER_FACTS: dict[str, Any] = {
    "email": "test.facts@example.com",
    "password": "password123",
    "identifierType": "NHS",
    "identifierValue": "9693632109",
    **FACTS,
}
LOGIN: dict[str, Any] = {"email": "test.nin@example.com", "password": "password123"}

_TOKEN = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.c2ln"  # noqa: S105 - an invalid token
_CREATED_AT = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
_USER = UserView(
    id=UUID("019b8d3c-5ac0-7e1b-9f4e-2d6a8c0b1e37"),
    email="test.nin@example.com",
    identifier_type="NIN",
    identifier_value="AB123456C",
    phone_number="+447123456789",
    status=AccountStatus.PENDING,
    auth_provider="email",
    created_at=_CREATED_AT,
    updated_at=_CREATED_AT,
)

REGISTRATIONS = [
    Example(id="nin", summary="With a National Insurance number", value=REGISTER),
    Example(
        id="nhs", summary="With an NHS number of the simulated departments", value=REGISTER_NHS
    ),
    Example(id="facts", summary="To be matched by name and date of birth", value=REGISTER_FACTS),
]
VERIFICATIONS = [Example(id="facts", summary="A test patient of the NHS", value=FACTS)]
LOGINS = [Example(id="login", summary="The first example's account", value=LOGIN)]
USERS = [
    Example(
        id="user",
        summary="An account that waits for verification",
        value=msgspec.to_builtins(_USER),
    )
]
TOKENS = [
    Example(
        id="token",
        summary="Send it as Authorization: Bearer ...",
        value=msgspec.to_builtins(TokenView(access_token=_TOKEN)),
    )
]
_POLICY = PasswordPolicyView(
    min_length=8,
    max_length=256,
    advised_length=15,
    normalisation="NFKC",
    refusals=(
        "password_too_short",
        "password_too_long",
        "password_not_text",
        "password_common",
        "password_breached",
        "password_context",
    ),
)
POLICIES = [
    Example(
        id="policy",
        summary="The default policy",
        value=msgspec.to_builtins(_POLICY),
    )
]
_REFRESH_TOKEN = "0uB0Xd1qvTzjSx1nCgmS0JcPcYlVnXgS3m0dJ9wEXAM"  # noqa: S105 - an invalid token
_SESSION = UUID("019b8d3c-6f10-7c2e-8a51-4b7d9e0f2c68")
REFRESHES = [
    Example(
        id="refresh",
        summary="With the newest refresh token",
        value={"refresh_token": _REFRESH_TOKEN},
    )
]
GRANTS = [
    Example(
        id="grant",
        summary="Send the access token, keep the refresh token",
        value=msgspec.to_builtins(
            GrantView(
                access_token=_TOKEN,
                expires_in=300,
                refresh_token=_REFRESH_TOKEN,
                session_id=_SESSION,
            )
        ),
    )
]
SESSION_LISTS = [
    Example(
        id="sessions",
        summary="Signed in once",
        value=[
            msgspec.to_builtins(
                SessionView(
                    id=_SESSION,
                    client_id="govid",
                    created_at=_CREATED_AT,
                    last_seen_at=_CREATED_AT,
                    expires_at=_CREATED_AT + timedelta(hours=1),
                    current=True,
                )
            )
        ],
    )
]
DISCOVERIES = [
    Example(
        id="discovery",
        summary="On this machine",
        value=msgspec.to_builtins(DiscoveryView.for_issuer("http://127.0.0.1:8000", "ES256")),
    )
]
_LINK_TOKEN = "Zm9yIHRoZSBkb2N1bWVudHMsIG9wZW5zIG5vdGhpbmc"  # noqa: S105 - an invalid token
_NEW = "tangled otter banister"
PASSWORD_CHANGES = [
    Example(
        id="change",
        summary="The first example's account",
        value={"current_password": "password123", "password": _NEW},
    )
]
RESETS = [
    Example(id="reset", summary="For an address", value={"email": "test.nin@example.com"}),
]
RESETS_NOTED = [
    Example(
        id="noted",
        summary="The same for every address",
        value={
            "message": "If an account has this address, a mail with a link to set a new password"
            " is on its way"
        },
    )
]
RESET_CONFIRMATIONS = [
    Example(
        id="confirm",
        summary="With the token from the link",
        value={"token": _LINK_TOKEN, "password": _NEW},
    )
]
EMAIL_CHANGES = [
    Example(
        id="email",
        summary="The first example's account",
        value={"email": "test.new@example.com", "password": "password123"},
    )
]
LINKS_NOTED = [
    Example(
        id="noted",
        summary="The same for every address",
        value={"message": "If this address can be confirmed, a mail with a link is on its way"},
    )
]
EMAIL_CONFIRMATIONS = [
    Example(id="confirm", summary="With the token from the link", value={"token": _LINK_TOKEN})
]
CLOSURES = [Example(id="close", summary="With the password", value={"password": "password123"})]
EXPORTS = [
    Example(
        id="export",
        summary="Of a new account",
        value={
            "exported_at": "2026-01-05T09:31:00Z",
            "account": {
                "id": "019b8d3c-5ac0-7e1b-9f4e-2d6a8c0b1e37",
                "email": "test.nin@example.com",
                "email_confirmed_at": None,
                "identifier_type": "NIN",
                "identifier_value": "AB123456C",
                "phone_number": "+447123456789",
                "has_password": True,
                "status": AccountStatus.PENDING.value,
                "assurance": "P0",
                "auth_provider": "email",
                "created_at": "2026-01-05T09:30:00Z",
                "updated_at": "2026-01-05T09:30:00Z",
            },
            "sessions": [],
            "letters": [],
            "links": [],
            "claimed": {"family_name": "Garton", "date_of_birth": "1946-06-23"},
            "attempts": [
                {
                    "identifier_type": "NIN",
                    "reserved_at": "2026-01-05T09:30:00Z",
                    "settled_at": None,
                    "is_spent": True,
                }
            ],
            "evidence": [],
            "departments": {
                "nhs": {"patients": [], "appointments": []},
                "hmrc": {"tax_records": []},
            },
            "events": {"kept_days": 90, "statement": "What happens is kept as events."},
        },
    )
]
_READ = "019b8d3d-1a40-7b3c-9d2e-5f6a7b8c9d0e"
ACCESS_LOGS = [
    Example(
        id="shown",
        summary="An operator has looked at the account",
        value=[
            {
                "id": _READ,
                "at": "2026-01-05T09:40:00Z",
                "role": "operator",
                "organisation": "govid",
                "purpose": "account_administration",
                "fields": ["account", "identifiers", "sessions", "life_events", "reviews"],
                "scope": "account",
                "is_sealed": True,
            }
        ],
    )
]
_CHECKPOINT = (
    "127.0.0.1:8000/audit\n2\n+wtF4a3SHX76AYTPvxBgcRqXO4R6lqUBCLcYj8V7Igg=\n"
    "at 2026-01-05T09:40:01Z\n\n— 127.0.0.1:8000/audit c2lnbmF0dXJlIG9mIHRoZSBjaGVja3BvaW50\n"
)
_HASH = "qw5XAzAHbIurMDHQBfvFsahDAS+o8pHtVvNwSdIf8Ls="
ACCESS_PROOFS = [
    Example(
        id="proof",
        summary="The second of two entries",
        value={
            "entry": f'{{"id":"{_READ}","event":"data.read","at":"2026-01-05T09:40:00Z"}}',
            "index": 1,
            "path": _HASH,
            "checkpoint": _CHECKPOINT,
        },
    )
]
CONSISTENCY_PROOFS = [
    Example(
        id="grown",
        summary="From one entry to two",
        value={"from": 1, "path": _HASH, "checkpoint": _CHECKPOINT},
    )
]
VERIFIER_KEYS = [
    Example(
        id="keys",
        summary="One key",
        value={
            "keys": [
                {
                    "vkey": "127.0.0.1:8000/audit+3f1c0a9e+"
                    "AYg2sDc1jxYx3y1S3oAqk3xV0dJrXK8m0yHnq0mWf1aB",
                    "is_current": True,
                }
            ]
        },
    )
]
