"""Builds the services of account holders: passwords, e-mail addresses, data rights and e-mail."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from govid.bus import Clock, Database, PseudonymGenerator, QuotaCounters, Subscriber, UnitOfWork
from govid.bus.contracts import LetterWritten
from govid.identity.accounts.claims import ClaimExpiry
from govid.identity.accounts.closure import AccountClosure
from govid.identity.accounts.email import EmailAddressService
from govid.identity.accounts.export import DataExport, DataExportSource
from govid.identity.controllers.departure import data_rights_router
from govid.identity.controllers.emails import email_router
from govid.identity.controllers.passwords import password_router
from govid.identity.credentials.change import PasswordChange
from govid.identity.credentials.reset import PasswordReset
from govid.identity.housekeeping import CleanupJob
from govid.identity.mail.correspondence import EmailOutbox
from govid.identity.mail.folder import FolderTransport
from govid.identity.mail.off import DisabledTransport
from govid.identity.mail.port import EmailTransport, MessageBuilder
from govid.identity.mail.postman import SUBSCRIBER as EMAIL_SUBSCRIBER
from govid.identity.mail.postman import EmailSender
from govid.identity.mail.smtp import SmtpTransport
from govid.identity.passwords.hashing import PasswordHashing
from govid.identity.passwords.policy import PasswordPolicy
from govid.identity.passwords.reauthentication import Reauthentication
from govid.identity.repository.claims import IdentifierClaimRepository
from govid.identity.repository.export import DataExportRepository
from govid.identity.repository.facts import ClaimedFactsRepository
from govid.identity.repository.letters import OutgoingEmailRepository
from govid.identity.repository.links import OneTimeTokens
from govid.identity.repository.owners import PasswordAccountRepository
from govid.identity.repository.verification_attempts import (
    VerificationAttemptRepository,
    VerificationHistory,
)
from govid.identity.sessions.ending import SessionRevoker
from govid.identity.settings import IdentitySettings, MailSettings
from govid.identity.throttle.attempts import LoginThrottle


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """Routes, subscribers, cleanup jobs and background tasks of the services."""

    routes: tuple[object, ...]
    consumers: tuple[Subscriber, ...]
    jobs: Mapping[str, CleanupJob]
    tasks: tuple[Callable[[], Awaitable[None]], ...]


def build_services(
    settings: IdentitySettings,
    database: Database,
    uow: UnitOfWork,
    clock: Clock,
    *,
    passwords: PasswordHashing,
    policy: PasswordPolicy,
    throttle: LoginThrottle,
    session_revoker: SessionRevoker,
    facts: ClaimedFactsRepository,
    attempts: VerificationAttemptRepository,
    departments: Mapping[str, DataExportSource],
    email_transport: EmailTransport,
) -> Services:
    """Build the services of account holders; *departments* are the sources of the data export."""
    account_owners, outgoing_email, one_time_tokens = (
        PasswordAccountRepository(),
        OutgoingEmailRepository(),
        OneTimeTokens(),
    )
    mail = settings.mail
    quotas, pseudonyms = QuotaCounters("identity.quota"), PseudonymGenerator(settings.pseudonym_key)
    email_outbox = EmailOutbox(
        outgoing_email,
        quotas,
        pseudonyms,
        is_enabled=bool(mail.folder or mail.smtp),
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
    email_address = EmailAddressService(
        uow,
        account_owners,
        one_time_tokens,
        quotas,
        reauthentication,
        email_outbox,
        pseudonyms,
        lambda: email_transport.accepts_unicode,
    )
    # An export is a few statements, none of which needs an explicit transaction.
    reads = database.requests.execution_options(isolation_level="AUTOCOMMIT")
    data_export = DataExport(
        uow,
        DataExportRepository(reads),
        facts,
        VerificationHistory(database),
        departments,
        quotas,
        clock,
        event_days=settings.event_days,
        most_per_hour=settings.quotas.exports_per_hour,
    )
    closure = AccountClosure(
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
        IdentifierClaimRepository(),
        facts,
        attempts,
        claim_days=settings.claim_days,
        closed_days=settings.closed_identifier_days,
    )
    sender = EmailSender(
        uow, outgoing_email, one_time_tokens, account_owners, email_transport, settings
    )
    return Services(
        routes=(
            password_router(policy, change, reset),
            email_router(email_address),
            data_rights_router(data_export, closure),
        ),
        consumers=(Subscriber(name=EMAIL_SUBSCRIBER, handles=(LetterWritten,), handler=sender),),
        jobs={
            "claims.expire": claims.expire_claims,
            "claims.release": claims.release_closed,
            "links.purge": one_time_tokens.purge,
        },
        tasks=(email_transport.detect_features,)
        if isinstance(email_transport, SmtpTransport)
        else (),
    )


def build_email_transport(settings: MailSettings, clock: Clock) -> EmailTransport:
    """Return the e-mail transport of *settings*."""
    writer = MessageBuilder(settings.sender, clock)
    if settings.folder is not None:
        return FolderTransport(settings.folder, writer)
    if settings.smtp is not None:
        return SmtpTransport(settings.smtp, writer)
    return DisabledTransport()
