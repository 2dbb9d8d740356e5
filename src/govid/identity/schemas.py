"""What clients send and receive, under the contract's names. None of it shows in a repr (I9)."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from msgspec import Meta, Struct, field

from govid.bus import Personal, Principal
from govid.bus.contracts import IdentifierType

Text = Annotated[str, Meta(max_length=1024)]
"""Text whose real limit a rule states: it only keeps the rules from reading a book."""


GIVEN_NAME = (
    "Or the first of several. Leave it out if you have one name; HMRC cannot verify such a name."
)


class Register(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open an account. What makes each field a good one is the business of `rules` and `facts`.

    Family name and date of birth, both or neither, let the department match more than a number.
    """

    email: Personal[
        Annotated[Text, Meta(description="At most 254 octets; its case does not matter.")]
    ]
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

    def __repr__(self) -> str:
        """Name the struct only."""
        return "<Register>"


class Verify(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say who one is. What makes each field a good one is the business of `facts`."""

    given_name: Personal[Annotated[Text, Meta(description=GIVEN_NAME)]] | None = field(
        name="givenName", default=None
    )
    family_name: Personal[Text] = field(name="familyName")
    date_of_birth: Personal[date] = field(name="dateOfBirth")
    postcode: Personal[Text] | None = None

    def __repr__(self) -> str:
        """Name the struct only."""
        return "<Verify>"


class Login(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sign in. No form is checked: what cannot be right is simply wrong."""

    email: Personal[str]
    password: Personal[str]

    def __repr__(self) -> str:
        """Name the struct only."""
        return "<Login>"


class Refresh(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Renew a session. The client is the one that the session was opened for."""

    refresh_token: Personal[Text]
    client_id: Text = "govid"

    def __repr__(self) -> str:
        """Name the struct only."""
        return "<Refresh>"


class TokenView(Struct, frozen=True, kw_only=True):
    """An access token, to be sent as `Authorization: Bearer ...`."""

    access_token: Personal[str]
    token_type: str = "bearer"  # noqa: S105 - the name of a scheme

    def __repr__(self) -> str:
        """Name the struct only."""
        return "<TokenView>"


class GrantView(Struct, frozen=True, kw_only=True):
    """A session's tokens: one for requests, and one for the next pair of tokens, good for once."""

    access_token: Personal[str]
    token_type: str = "bearer"  # noqa: S105 - the name of a scheme
    expires_in: Annotated[int, Meta(description="Seconds that the access token lives.")]
    refresh_token: Personal[Annotated[str, Meta(description="For `POST /api/auth/refresh`, once.")]]
    session_id: UUID

    def __repr__(self) -> str:
        """Name the session only."""
        return f"<GrantView {self.session_id}>"


class PasswordPolicyView(Struct, frozen=True, kw_only=True):
    """What a new password has to be like. Lengths are in code points, in that normal form."""

    min_length: int
    max_length: int
    advised_length: int
    normalisation: Literal["NFKC"]
    refusals: Annotated[
        tuple[str, ...], Meta(description="The types of error that are possible, by name.")
    ]


class SessionView(Struct, frozen=True, kw_only=True):
    """A living session. `last_seen_at` is exact to a minute."""

    id: UUID
    client_id: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: Annotated[datetime, Meta(description="When it ends unless it is used before.")]
    current: Annotated[bool, Meta(description="Whether it is the session of this request.")]


class DiscoveryView(Struct, frozen=True, kw_only=True):
    """What a verifier of access tokens has to know, under the names of RFC 8414."""

    issuer: str
    jwks_uri: str
    scopes_supported: tuple[str, ...]
    response_types_supported: tuple[str, ...]
    subject_types_supported: tuple[str, ...]
    id_token_signing_alg_values_supported: tuple[str, ...]

    @classmethod
    def of(cls, issuer: str, algorithm: str) -> Self:
        """Return the facts about *issuer*, who signs by *algorithm*."""
        return cls(
            issuer=issuer,
            jwks_uri=f"{issuer}/.well-known/jwks.json",
            scopes_supported=("govid",),
            # No tokens are handed out by redirection, so there are none.
            response_types_supported=(),
            subject_types_supported=("public",),
            id_token_signing_alg_values_supported=(algorithm,),
        )


class ChangePassword(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change the password."""

    current_password: Personal[str]
    password: Personal[
        Annotated[str, Meta(description="The new one, by `GET /api/auth/password-policy`.")]
    ]

    def __repr__(self) -> str:
        """Name the struct only."""
        return "<ChangePassword>"


class RequestReset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a link to set a new password. What is no address is nobody's."""

    email: Personal[str]

    def __repr__(self) -> str:
        """Name the struct only."""
        return "<RequestReset>"


class ConfirmReset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Set a new password."""

    token: Personal[Annotated[str, Meta(description="From the link in the mail.")]]
    password: Personal[
        Annotated[str, Meta(description="The new one, by `GET /api/auth/password-policy`.")]
    ]

    def __repr__(self) -> str:
        """Name the struct only."""
        return "<ConfirmReset>"


class ChangeEmail(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for another address. What makes it a good one is the business of `rules`."""

    email: Personal[
        Annotated[Text, Meta(description="At most 254 octets; its case does not matter.")]
    ]
    password: Personal[Annotated[str, Meta(description="The account's, once more.")]]

    def __repr__(self) -> str:
        """Name the struct only."""
        return "<ChangeEmail>"


class ConfirmEmail(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Follow a link to an address."""

    token: Personal[Annotated[str, Meta(description="From the link in the mail.")]]

    def __repr__(self) -> str:
        """Name the struct only."""
        return "<ConfirmEmail>"


class CloseAccount(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Close the account for good."""

    password: Personal[Annotated[str, Meta(description="The account's, once more.")]]

    def __repr__(self) -> str:
        """Name the struct only."""
        return "<CloseAccount>"


class NotedView(Struct, frozen=True, kw_only=True):
    """The same answer to everybody: what comes of it is in a mail, or there is none."""

    message: str


class UserView(Struct, frozen=True, kw_only=True):
    """An account, as its owner sees it."""

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
        str, Meta(description="P0 unknown; P1 by an identifier; P2 by name and birth, too.")
    ] = "P0"

    @classmethod
    def of(cls, principal: Principal) -> Self:
        """Return the view of *principal*: all of it was read to authenticate this request."""
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

    def __repr__(self) -> str:
        """Name the account only."""
        return f"<UserView {self.id}>"


class EventsView(Struct, frozen=True, kw_only=True):
    """What becomes of the events that somebody's acts have caused."""

    kept_days: float
    statement: str


class ExportView(Struct, frozen=True, kw_only=True):
    """All that is held about an account. `departments` has what each holds, by kind of record."""

    exported_at: datetime
    account: Personal[dict[str, Any]]
    sessions: Sequence[dict[str, Any]]
    letters: Annotated[Sequence[dict[str, Any]], Meta(description="Mails that have not left yet.")]
    links: Annotated[
        Sequence[dict[str, Any]], Meta(description="Links in mails; what opens them is not kept.")
    ]
    claimed: Annotated[
        Personal[dict[str, Any]] | None, Meta(description="What you have said of yourself.")
    ]
    attempts: Annotated[
        Sequence[Mapping[str, Any]], Meta(description="Verifications that were asked for.")
    ]
    evidence: Annotated[
        Sequence[Mapping[str, Any]], Meta(description="On what departments' answers rest.")
    ]
    departments: Personal[dict[str, Mapping[str, Sequence[Any]]]]
    events: EventsView

    def __repr__(self) -> str:
        """Name the struct only."""
        return "<ExportView>"
