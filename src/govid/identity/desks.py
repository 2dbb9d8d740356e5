"""Builds what people do with their own accounts: passwords, addresses, leaving, and their mail."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from govid.bus import Clock, Consumer, Database, Pseudonyms, Quotas, UnitOfWork
from govid.bus.contracts import LetterWritten
from govid.identity import controllers
from govid.identity.accounts.claims import ClaimExpiry
from govid.identity.accounts.closure import Closure
from govid.identity.accounts.email import EmailDesk
from govid.identity.accounts.export import Export, Records
from govid.identity.credentials.change import PasswordChange
from govid.identity.credentials.reset import PasswordReset
from govid.identity.housekeeping import Job
from govid.identity.mail import postman
from govid.identity.mail.correspondence import Correspondence
from govid.identity.mail.folder import FolderMailer
from govid.identity.mail.off import OffMailer
from govid.identity.mail.port import Mailer, Writer
from govid.identity.mail.smtp import SmtpMailer
from govid.identity.passwords.hashing import Passwords
from govid.identity.passwords.policy import Policy
from govid.identity.passwords.reauthentication import Reauthentication
from govid.identity.repository.claims import Claims
from govid.identity.repository.export import Holdings
from govid.identity.repository.facts import Facts
from govid.identity.repository.letters import Letters
from govid.identity.repository.links import Links
from govid.identity.repository.owners import Owners
from govid.identity.repository.verification_attempts import (
    VerificationAttempts,
    VerificationHistory,
)
from govid.identity.sessions.ending import Ending
from govid.identity.settings import IdentitySettings, MailSettings
from govid.identity.throttle.attempts import Throttle


class Desks(msgspec.Struct, frozen=True, kw_only=True):
    """What the module plugs in."""

    routes: tuple[object, ...]
    consumers: tuple[Consumer, ...]
    jobs: Mapping[str, Job]
    tasks: tuple[Callable[[], Awaitable[None]], ...]


def build(
    settings: IdentitySettings,
    database: Database,
    uow: UnitOfWork,
    clock: Clock,
    *,
    passwords: Passwords,
    policy: Policy,
    throttle: Throttle,
    ending: Ending,
    facts: Facts,
    attempts: VerificationAttempts,
    departments: Mapping[str, Records],
    mailer: Mailer,
) -> Desks:
    """Build the desks; *departments* say what they hold about somebody, *mailer* sends mail."""
    owners, letters, links = Owners(), Letters(), Links()
    mail = settings.mail
    quotas, pseudonyms = Quotas("identity.quota"), Pseudonyms(settings.pseudonym_key)
    correspondence = Correspondence(
        letters,
        quotas,
        pseudonyms,
        is_open=bool(mail.folder or mail.smtp),
        most_per_hour=settings.quotas.emails_per_hour,
    )
    again = Reauthentication(uow, owners, passwords, throttle)
    change = PasswordChange(uow, owners, ending, links, passwords, policy, again, correspondence)
    reset = PasswordReset(uow, owners, ending, links, passwords, policy, throttle, correspondence)
    emails = EmailDesk(
        uow, owners, links, quotas, again, correspondence, pseudonyms, lambda: mailer.takes_unicode
    )
    # An export is a few statements, none of which needs a BEGIN and a COMMIT around it.
    reads = database.requests.execution_options(isolation_level="AUTOCOMMIT")
    export = Export(
        uow,
        Holdings(reads),
        facts,
        VerificationHistory(database),
        departments,
        quotas,
        clock,
        event_days=settings.event_days,
        most_per_hour=settings.quotas.exports_per_hour,
    )
    closure = Closure(uow, owners, ending, links, again, correspondence, facts, attempts)
    claims = ClaimExpiry(
        Claims(),
        facts,
        attempts,
        claim_days=settings.claim_days,
        closed_days=settings.closed_identifier_days,
    )
    deliverer = postman.Postman(uow, letters, links, owners, mailer, settings)
    return Desks(
        routes=(
            controllers.passwords.router(policy, change, reset),
            controllers.emails.router(emails),
            controllers.departure.router(export, closure),
        ),
        consumers=(Consumer(name=postman.SUBSCRIBER, handles=(LetterWritten,), handler=deliverer),),
        jobs={
            "claims.expire": claims.expire,
            "claims.release": claims.release,
            "links.purge": links.purge,
        },
        tasks=(mailer.learn,) if isinstance(mailer, SmtpMailer) else (),
    )


def mailer_of(settings: MailSettings, clock: Clock) -> Mailer:
    """Return the way by which mail leaves."""
    writer = Writer(settings.sender, clock)
    if settings.folder is not None:
        return FolderMailer(settings.folder, writer)
    if settings.smtp is not None:
        return SmtpMailer(settings.smtp, writer)
    return OffMailer()
