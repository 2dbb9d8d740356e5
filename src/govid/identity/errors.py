"""Refusals of identity. The first line of each docstring is the `detail` text of the response."""

from govid.bus import ErrorKind, GovidError


class EmailTaken(GovidError):
    """A user with this email already exists."""

    code = "email-taken"
    kind = ErrorKind.REFUSED


class IdentifierTaken(GovidError):
    """A user with this identifier already exists."""

    code = "identifier-taken"
    kind = ErrorKind.REFUSED

    def __init__(self, identifier_type: str | None) -> None:
        """Name the type of the identifier in the message, never its value."""
        super().__init__(f"A user with this {identifier_type} already exists")


class InvalidCredentials(GovidError):
    """Invalid email or password."""

    code = "invalid-credentials"
    kind = ErrorKind.UNAUTHENTICATED


class TooManyAttempts(GovidError):
    """Too many attempts; please try again later."""

    code = "too-many-attempts"
    kind = ErrorKind.BUSY


class AccountIsBlocked(GovidError):
    """Account is blocked."""

    code = "account-blocked"
    kind = ErrorKind.FORBIDDEN


class AccountNotFound(GovidError):
    """There is no such account."""

    code = "account-not-found"
    kind = ErrorKind.NOT_FOUND


class AccountIsBlockedAlready(GovidError):
    """The account is blocked already."""

    code = "account-blocked-already"
    kind = ErrorKind.REFUSED


class AccountIsNotBlocked(GovidError):
    """The account is not blocked."""

    code = "account-not-blocked"
    kind = ErrorKind.REFUSED


class DeathNoticeInForce(GovidError):
    """A notice of death is in force for this account."""

    code = "death-stands"
    kind = ErrorKind.REFUSED


class AccountIsClosed(GovidError):
    """The account is closed permanently."""

    code = "account-closed"
    kind = ErrorKind.REFUSED


class InvalidToken(GovidError):
    """The access token is not valid.

    The response is the same for every reason, so that a client cannot learn why a token is
    rejected.
    """

    code = "invalid-token"
    kind = ErrorKind.UNAUTHENTICATED


class InvalidRefreshToken(GovidError):
    """The refresh token is not valid; please sign in again.

    The response is the same for every reason, as for access tokens.
    """

    code = "invalid-refresh-token"
    kind = ErrorKind.UNAUTHENTICATED


class SessionNotFound(GovidError):
    """You have no such session."""

    code = "session-not-found"
    kind = ErrorKind.NOT_FOUND


class LoginBusy(GovidError):
    """Too many people are signing in at the moment; please try again shortly."""

    code = "sign-in-busy"
    kind = ErrorKind.UNAVAILABLE


class AccountsUnreachable(GovidError):
    """Accounts cannot be looked up at the moment; please try again shortly."""

    code = "accounts-unreachable"
    kind = ErrorKind.UNAVAILABLE


class PasswordNotConfirmed(GovidError):
    """The current password is not correct."""

    code = "password-not-confirmed"
    kind = ErrorKind.FORBIDDEN


class LinkIsSpent(GovidError):
    """This link has already been used or has expired; please request a new one."""

    code = "link-spent"
    kind = ErrorKind.REFUSED


class MailIsOff(GovidError):
    """Email cannot be sent at the moment."""

    code = "mail-off"
    kind = ErrorKind.UNAVAILABLE


class VerifiedAlready(GovidError):
    """The account is verified already."""

    code = "verified-already"
    kind = ErrorKind.REFUSED


class VerificationUnderWay(GovidError):
    """The account is being verified; please wait for the result."""

    code = "verification-under-way"
    kind = ErrorKind.REFUSED


class ExportsBusy(GovidError):
    """Too many exports are running; please try again shortly."""

    code = "exports-busy"
    kind = ErrorKind.UNAVAILABLE


class AttemptsExhausted(GovidError):
    """All attempts to verify this account or its identifier have been used."""

    code = "attempts-exhausted"
    kind = ErrorKind.FORBIDDEN


class BlockedAccountKeepsIdentifier(GovidError):
    """A blocked account keeps its identifier, because the account holder may be dead."""

    code = "blocked-account-keeps-identifier"
    kind = ErrorKind.REFUSED


class IdentifierIsVerified(GovidError):
    """A department has confirmed this identifier; use --verified to release it anyway."""

    code = "identifier-is-verified"
    kind = ErrorKind.REFUSED


class NothingToRelease(GovidError):
    """The account holds no identifier."""

    code = "nothing-to-release"
    kind = ErrorKind.REFUSED


class NoAttemptsUsed(GovidError):
    """No verification attempt of this account or its identifier has been used."""

    code = "nothing-to-forgive"
    kind = ErrorKind.REFUSED


class FieldError(ValueError):
    """One field of a request is invalid.

    The message may be shown to the client. It never contains the value.
    """

    def __init__(self, kind: str, message: str) -> None:
        """Store *kind*, a permanent code, and *message*, a sentence without its subject."""
        self.kind = kind
        super().__init__(message)
