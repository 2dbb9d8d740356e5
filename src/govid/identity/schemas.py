"""Request and response bodies, under the names of the contract. No repr shows a value (I9)."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

from msgspec import Meta, Struct, field

from govid.bus import Personal, Principal
from govid.bus.events import IdentifierType
from govid.bus.shared.privacy import RedactedStruct

Text = Annotated[str, Meta(max_length=1024)]
"""Text whose actual limit is in `validation`; this bound only limits the work of the rules."""


GIVEN_NAME = (
    "All given names, or the first. Leave it out if you have only one name; HMRC cannot verify"
    " such a name."
)


class Register(RedactedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open an account.

    Give both family name and date of birth, or neither. With them the department compares more
    than the identifier.
    """

    email: Personal[Annotated[Text, Meta(description="At most 254 octets; not case-sensitive.")]]
    password: Personal[Annotated[str, Meta(description="8 to 256 characters of any kind.")]]
    identifier_type: IdentifierType = field(name="identifierType")
    identifier_value: Personal[Text] = field(name="identifierValue")
    phone_number: Personal[Annotated[Text, Meta(description="In E.164 form.")]] | None = field(
        name="phoneNumber", default=None
    )
    given_name: Personal[Annotated[Text, Meta(description=GIVEN_NAME)]] | None = field(
        name="givenName", default=None
    )
    family_name: Personal[Text] | None = field(name="familyName", default=None)
    date_of_birth: Personal[date] | None = field(name="dateOfBirth", default=None)
    postcode: Personal[Text] | None = None


class Verify(RedactedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Request verification of the account with these facts."""

    given_name: Personal[Annotated[Text, Meta(description=GIVEN_NAME)]] | None = field(
        name="givenName", default=None
    )
    family_name: Personal[Text] = field(name="familyName")
    date_of_birth: Personal[date] = field(name="dateOfBirth")
    postcode: Personal[Text] | None = None


class Login(RedactedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sign in. The format is not validated: a value that cannot be correct is a wrong one."""

    email: Personal[str]
    password: Personal[str]


class Refresh(RedactedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Renew a session. The client must be the one that began the session."""

    refresh_token: Personal[Text]
    client_id: Text = "govid"


class TokenView(RedactedStruct, frozen=True, kw_only=True):
    """An access token, to be sent as `Authorization: Bearer ...`."""

    access_token: Personal[str]
    token_type: str = "bearer"  # noqa: S105 - the name of a scheme


class GrantView(RedactedStruct, frozen=True, kw_only=True):
    """The tokens of a session: an access token, and a refresh token that can be used once."""

    access_token: Personal[str]
    token_type: str = "bearer"  # noqa: S105 - the name of a scheme
    expires_in: Annotated[int, Meta(description="Lifetime of the access token in seconds.")]
    refresh_token: Personal[Annotated[str, Meta(description="For `POST /api/auth/refresh`, once.")]]
    session_id: UUID

    repr_members: ClassVar[tuple[str, ...]] = ("session_id",)


class PasswordPolicyView(Struct, frozen=True, kw_only=True):
    """The password policy. Lengths are in code points after `normalisation`."""

    min_length: int
    max_length: int
    advised_length: int
    normalisation: Literal["NFKC"]
    refusals: Annotated[
        tuple[str, ...], Meta(description="The error types that a new password can have.")
    ]


class SessionView(Struct, frozen=True, kw_only=True):
    """An active session. `last_seen_at` is exact to a minute."""

    id: UUID
    client_id: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: Annotated[
        datetime, Meta(description="When the session ends if it is not used before.")
    ]
    current: Annotated[bool, Meta(description="Whether this is the session of the request.")]


class DiscoveryView(Struct, frozen=True, kw_only=True):
    """Metadata for verifiers of access tokens, under the names of RFC 8414."""

    issuer: str
    jwks_uri: str
    scopes_supported: tuple[str, ...]
    response_types_supported: tuple[str, ...]
    subject_types_supported: tuple[str, ...]
    id_token_signing_alg_values_supported: tuple[str, ...]

    @classmethod
    def for_issuer(cls, issuer: str, algorithm: str) -> Self:
        """Return the metadata of *issuer*, which signs with *algorithm*."""
        return cls(
            issuer=issuer,
            jwks_uri=f"{issuer}/.well-known/jwks.json",
            scopes_supported=("govid",),
            # No token is issued by redirection, so there are no response types.
            response_types_supported=(),
            subject_types_supported=("public",),
            id_token_signing_alg_values_supported=(algorithm,),
        )


class ChangePassword(RedactedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change the password."""

    current_password: Personal[str]
    password: Personal[
        Annotated[str, Meta(description="The new password; see `GET /api/auth/password-policy`.")]
    ]


class RequestReset(RedactedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Request a link to set a new password. An invalid address belongs to no account."""

    email: Personal[str]


class ConfirmReset(RedactedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Set a new password."""

    token: Personal[Annotated[str, Meta(description="From the link in the email.")]]
    password: Personal[
        Annotated[str, Meta(description="The new password; see `GET /api/auth/password-policy`.")]
    ]


class ChangeEmail(RedactedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Request a change of the email address."""

    email: Personal[Annotated[Text, Meta(description="At most 254 octets; not case-sensitive.")]]
    password: Personal[Annotated[str, Meta(description="The current password of the account.")]]


class ConfirmEmail(RedactedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Confirm an email address with the token from the link."""

    token: Personal[Annotated[str, Meta(description="From the link in the email.")]]


class CloseAccount(RedactedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Close the account permanently."""

    password: Personal[Annotated[str, Meta(description="The current password of the account.")]]


class NotedView(Struct, frozen=True, kw_only=True):
    """The same response for every address: the result is in an email, if one is sent."""

    message: str


class UserView(RedactedStruct, frozen=True, kw_only=True):
    """An account, as its holder sees it."""

    id: UUID
    email: Personal[str | None]
    identifier_type: str | None = field(name="identifierType")
    identifier_value: Personal[str | None] = field(name="identifierValue")
    phone_number: Personal[str | None] = field(name="phoneNumber")
    status: str
    auth_provider: str
    created_at: datetime
    updated_at: datetime
    assurance: Annotated[
        str, Meta(description="P0: unverified; P1: by identifier; P2: also by name and birth.")
    ] = "P0"

    @classmethod
    def from_principal(cls, principal: Principal) -> Self:
        """Return the view of *principal*, which was read to authenticate the request."""
        return cls(
            id=principal.account_id,
            email=principal.email,
            identifier_type=principal.identifier_type,
            identifier_value=principal.identifier_value,
            phone_number=principal.phone_number,
            status=principal.status,
            auth_provider=principal.auth_provider,
            created_at=principal.created_at,
            updated_at=principal.updated_at,
            assurance=principal.assurance,
        )

    repr_members: ClassVar[tuple[str, ...]] = ("id",)


class EventsView(Struct, frozen=True, kw_only=True):
    """How long stored events about the account are kept."""

    kept_days: float
    statement: str


class ExportView(RedactedStruct, frozen=True, kw_only=True):
    """All data held about an account. `departments` lists the records of each, by kind."""

    exported_at: datetime
    account: Personal[dict[str, Any]]
    sessions: Sequence[dict[str, Any]]
    letters: Annotated[
        Sequence[dict[str, Any]], Meta(description="Emails that have not been sent yet.")
    ]
    links: Annotated[
        Sequence[dict[str, Any]], Meta(description="Links in emails; their tokens are not stored.")
    ]
    claimed: Annotated[
        Personal[dict[str, Any]] | None, Meta(description="The facts that you have given.")
    ]
    attempts: Annotated[
        Sequence[Mapping[str, Any]], Meta(description="Verifications that were requested.")
    ]
    evidence: Annotated[
        Sequence[Mapping[str, Any]],
        Meta(description="The evidence behind the departments' answers."),
    ]
    departments: Personal[dict[str, Mapping[str, Sequence[Any]]]]
    events: EventsView
