"""Builds the services of account holders: passwords, e-mail addresses, data rights and e-mail."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from govid.bus import Clock, Consumer, Database, Pseudonyms, Quotas, UnitOfWork
from govid.bus.contracts import LetterWritten
from govid.identity.accounts.claims import ClaimExpiry
from govid.identity.accounts.closure import Closure
from govid.identity.accounts.email import EmailDesk
from govid.identity.accounts.export import Export, Records
from govid.identity.controllers.departure import data_rights_router
from govid.identity.controllers.emails import email_router
from govid.identity.controllers.passwords import password_router
from govid.identity.credentials.change import PasswordChange
from govid.identity.credentials.reset import PasswordReset
from govid.identity.housekeeping import Job
from govid.identity.mail.correspondence import Correspondence
from govid.identity.mail.folder import FolderMailer
from govid.identity.mail.off import OffMailer
from govid.identity.mail.port import Mailer, Writer
from govid.identity.mail.postman import SUBSCRIBER as EMAIL_SUBSCRIBER
from govid.identity.mail.postman import Postman
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


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """Routes, subscribers, cleanup jobs and background tasks of the services."""

    routes: tuple[object, ...]
    consumers: tuple[Consumer, ...]
    jobs: Mapping[str, Job]
    tasks: tuple[Callable[[], Awaitable[None]], ...]


def build_services(
    settings: IdentitySettings,
    database: Database,
    uow: UnitOfWork,
    clock: Clock,
    *,
    passwords: Passwords,
    policy: Policy,
    throttle: Throttle,
    session_revoker: Ending,
    facts: Facts,
    attempts: VerificationAttempts,
    departments: Mapping[str, Records],
    email_transport: Mailer,
) -> Services:
    """Build the services of account holders; *departments* are the sources of the data export."""
    account_owners, outgoing_email, one_time_tokens = Owners(), Letters(), Links()
    mail = settings.mail
    quotas, pseudonyms = Quotas("identity.quota"), Pseudonyms(settings.pseudonym_key)
    email_outbox = Correspondence(
        outgoing_email,
        quotas,
        pseudonyms,
        is_open=bool(mail.folder or mail.smtp),
        most_per_hour=settings.quotas.emails_per_hour,
    )
    reauthentication = Reauthentication(uow, account_owners, passwords, throttle)
    change = PasswordChange(
        uow,
        account_owners,
        session_revoker,
        one_time_tokens,
        passwords,
        policy,
        reauthentication,
        email_outbox,
    )
    reset = PasswordReset(
        uow,
        account_owners,
        session_revoker,
        one_time_tokens,
        passwords,
        policy,
        throttle,
        email_outbox,
    )
    email_address = EmailDesk(
        uow,
        account_owners,
        one_time_tokens,
        quotas,
        reauthentication,
        email_outbox,
        pseudonyms,
        lambda: email_transport.takes_unicode,
    )
    # An export is a few statements, none of which needs an explicit transaction.
    reads = database.requests.execution_options(isolation_level="AUTOCOMMIT")
    data_export = Export(
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
    closure = Closure(
        uow,
        account_owners,
        session_revoker,
        one_time_tokens,
        reauthentication,
        email_outbox,
        facts,
        attempts,
    )
    claims = ClaimExpiry(
        Claims(),
        facts,
        attempts,
        claim_days=settings.claim_days,
        closed_days=settings.closed_identifier_days,
    )
    sender = Postman(
        uow, outgoing_email, one_time_tokens, account_owners, email_transport, settings
    )
    return Services(
        routes=(
            password_router(policy, change, reset),
            email_router(email_address),
            data_rights_router(data_export, closure),
        ),
        consumers=(Consumer(name=EMAIL_SUBSCRIBER, handles=(LetterWritten,), handler=sender),),
        jobs={
            "claims.expire": claims.expire,
            "claims.release": claims.release,
            "links.purge": one_time_tokens.purge,
        },
        tasks=(email_transport.learn,) if isinstance(email_transport, SmtpMailer) else (),
    )


def build_email_transport(settings: MailSettings, clock: Clock) -> Mailer:
    """Return the e-mail transport of *settings*."""
    writer = Writer(settings.sender, clock)
    if settings.folder is not None:
        return FolderMailer(settings.folder, writer)
    if settings.smtp is not None:
        return SmtpMailer(settings.smtp, writer)
    return OffMailer()
