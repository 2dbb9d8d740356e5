"""The refusals of identity. The first line of each is the sentence that a client reads."""

from govid.bus import GovidError, Kind


class EmailTaken(GovidError):
    """A user with this email already exists."""

    code = "email-taken"
    kind = Kind.REFUSED


class IdentifierTaken(GovidError):
    """A user with this identifier already exists."""

    code = "identifier-taken"
    kind = Kind.REFUSED

    def __init__(self, identifier_type: str | None) -> None:
        """Name the kind of identifier, never its value."""
        super().__init__(f"A user with this {identifier_type} already exists")


class InvalidCredentials(GovidError):
    """Invalid email or password."""

    code = "invalid-credentials"
    kind = Kind.UNAUTHENTICATED


class TooManyAttempts(GovidError):
    """Too many attempts; please try again later."""

    code = "too-many-attempts"
    kind = Kind.BUSY


class AccountIsBlocked(GovidError):
    """Account is blocked."""

    code = "account-blocked"
    kind = Kind.FORBIDDEN


class AccountNotFound(GovidError):
    """There is no such account."""

    code = "account-not-found"
    kind = Kind.NOT_FOUND


class AccountIsBlockedAlready(GovidError):
    """The account is blocked already."""

    code = "account-blocked-already"
    kind = Kind.REFUSED


class AccountIsNotBlocked(GovidError):
    """The account is not blocked."""

    code = "account-not-blocked"
    kind = Kind.REFUSED


class DeathStands(GovidError):
    """A notice of death stands against this account."""

    code = "death-stands"
    kind = Kind.REFUSED


class AccountIsClosed(GovidError):
    """The account is closed, for good."""

    code = "account-closed"
    kind = Kind.REFUSED


class InvalidToken(GovidError):
    """The access token is not valid.

    One answer for every reason: whoever holds a bad token learns nothing about why it is bad.
    """

    code = "invalid-token"
    kind = Kind.UNAUTHENTICATED


class InvalidRefreshToken(GovidError):
    """The refresh token is not valid; please sign in again.

    One answer for every reason, as for access tokens.
    """

    code = "invalid-refresh-token"
    kind = Kind.UNAUTHENTICATED


class SessionNotFound(GovidError):
    """You have no such session."""

    code = "session-not-found"
    kind = Kind.NOT_FOUND


class SignInBusy(GovidError):
    """Too many people are signing in at this moment; please try again shortly."""

    code = "sign-in-busy"
    kind = Kind.UNAVAILABLE


class AccountsUnreachable(GovidError):
    """Accounts cannot be looked up at this moment; please try again shortly."""

    code = "accounts-unreachable"
    kind = Kind.UNAVAILABLE


class PasswordNotConfirmed(GovidError):
    """The current password is not right."""

    code = "password-not-confirmed"
    kind = Kind.FORBIDDEN


class LinkIsSpent(GovidError):
    """This link was used already, or its time is over; please ask for another."""

    code = "link-spent"
    kind = Kind.REFUSED


class MailIsOff(GovidError):
    """No mail can be sent here at this time."""

    code = "mail-off"
    kind = Kind.UNAVAILABLE


class VerifiedAlready(GovidError):
    """The account is verified already."""

    code = "verified-already"
    kind = Kind.REFUSED


class VerificationUnderWay(GovidError):
    """The account is being verified; please wait for the answer."""

    code = "verification-under-way"
    kind = Kind.REFUSED


class ExportsBusy(GovidError):
    """Too many exports are being made; please try again shortly."""

    code = "exports-busy"
    kind = Kind.UNAVAILABLE


class AttemptsExhausted(GovidError):
    """All attempts to verify this account or its identifier are spent."""

    code = "attempts-exhausted"
    kind = Kind.FORBIDDEN


class BlockedAccountKeepsIdentifier(GovidError):
    """A blocked account keeps its identifier: its holder may be dead."""

    code = "blocked-account-keeps-identifier"
    kind = Kind.REFUSED


class IdentifierIsVerified(GovidError):
    """A department has confirmed this identifier; say --verified to release it all the same."""

    code = "identifier-is-verified"
    kind = Kind.REFUSED


class NothingToRelease(GovidError):
    """The account holds no identifier."""

    code = "nothing-to-release"
    kind = Kind.REFUSED


class NothingToForgive(GovidError):
    """No attempt of this account or of its identifier is spent."""

    code = "nothing-to-forgive"
    kind = Kind.REFUSED


class Fault(ValueError):
    """One field is not right; the message may be shown and never holds the value."""

    def __init__(self, kind: str, message: str) -> None:
        """Say what is wrong, for machines and for people."""
        self.kind = kind
        super().__init__(message)
