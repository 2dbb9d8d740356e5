"""Builds the services by which account holders change and export their account.

These are password change and reset, e-mail address, closure and data export, with the e-mails and
cleanup jobs that belong to them. `module` builds registration, login, sessions and life events.
"""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from govid.bus import Clock, Database, PseudonymGenerator, QuotaCounters, Subscriber, UnitOfWork
from govid.bus.events import LetterWritten
from govid.identity.accounts.data_rights import AccountClosure, DataExport, DataExportSource
from govid.identity.accounts.email_address import EmailAddressService
from govid.identity.accounts.identifier_claims import ClaimExpiry
from govid.identity.cleanup import CleanupJob
from govid.identity.controllers.accounts import data_rights_router
from govid.identity.controllers.credentials import email_router, password_router
from govid.identity.credentials.password_change import PasswordChange, PasswordReset
from govid.identity.credentials.password_hashing import PasswordHashing
from govid.identity.credentials.reauthentication import Reauthentication
from govid.identity.email.outgoing import SUBSCRIBER as EMAIL_SUBSCRIBER
from govid.identity.email.outgoing import EmailOutbox, EmailSender
from govid.identity.email.transports import (
    DisabledTransport,
    EmailTransport,
    FolderTransport,
    MessageBuilder,
    SmtpTransport,
)
from govid.identity.password_policy import PasswordPolicy
from govid.identity.rate_limits.attempts import LoginThrottle
from govid.identity.repository.accounts import IdentifierClaimRepository, PasswordAccountRepository
from govid.identity.repository.claimed_facts import ClaimedFactsRepository
from govid.identity.repository.data_export import DataExportRepository
from govid.identity.repository.one_time_tokens import OneTimeTokens
from govid.identity.repository.outgoing_email import OutgoingEmailRepository
from govid.identity.repository.verification_attempts import (
    VerificationAttemptRepository,
    VerificationHistory,
)
from govid.identity.sessions.management import SessionRevoker
from govid.identity.settings import IdentitySettings, MailSettings


class AccountServices(msgspec.Struct, frozen=True, kw_only=True):
    """Routes, subscribers, cleanup jobs and background tasks of the services."""

    routes: tuple[object, ...]
    subscribers: tuple[Subscriber, ...]
    jobs: Mapping[str, CleanupJob]
    tasks: tuple[Callable[[], Awaitable[None]], ...]


def build_account_services(
    settings: IdentitySettings,
    database: Database,
    uow: UnitOfWork,
    clock: Clock,
    *,
    passwords: PasswordHashing,
    policy: PasswordPolicy,
    throttle: LoginThrottle,
    session_revoker: SessionRevoker,
    claimed_facts: ClaimedFactsRepository,
    attempts: VerificationAttemptRepository,
    departments: Mapping[str, DataExportSource],
    email_transport: EmailTransport,
) -> AccountServices:
    """Build the services of account holders; *departments* are the sources of the data export."""
    password_accounts, outgoing_email, one_time_tokens = (
        PasswordAccountRepository(),
        OutgoingEmailRepository(),
        OneTimeTokens(),
    )
    mail_settings = settings.mail
    quotas, pseudonyms = QuotaCounters("identity.quota"), PseudonymGenerator(settings.pseudonym_key)
    email_outbox = EmailOutbox(
        outgoing_email,
        quotas,
        pseudonyms,
        is_enabled=bool(mail_settings.folder or mail_settings.smtp),
        max_per_hour=settings.quotas.emails_per_hour,
    )
    reauthentication = Reauthentication(uow, password_accounts, passwords, throttle)
    password_change = PasswordChange(
        uow,
        password_accounts,
        session_revoker,
        one_time_tokens,
        passwords,
        policy,
        reauthentication,
        email_outbox,
    )
    password_reset = PasswordReset(
        uow,
        password_accounts,
        session_revoker,
        one_time_tokens,
        passwords,
        policy,
        throttle,
        email_outbox,
    )
    email_address = EmailAddressService(
        uow,
        password_accounts,
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
        claimed_facts,
        VerificationHistory(database),
        departments,
        quotas,
        clock,
        event_days=settings.event_days,
        max_per_hour=settings.quotas.exports_per_hour,
    )
    account_closure = AccountClosure(
        uow,
        password_accounts,
        session_revoker,
        one_time_tokens,
        reauthentication,
        email_outbox,
        claimed_facts,
        attempts,
    )
    claim_expiry = ClaimExpiry(
        IdentifierClaimRepository(),
        claimed_facts,
        attempts,
        claim_days=settings.claim_days,
        closed_days=settings.closed_identifier_days,
    )
    sender = EmailSender(
        uow, outgoing_email, one_time_tokens, password_accounts, email_transport, settings
    )
    return AccountServices(
        routes=(
            password_router(policy, password_change, password_reset),
            email_router(email_address),
            data_rights_router(data_export, account_closure),
        ),
        subscribers=(Subscriber(name=EMAIL_SUBSCRIBER, handles=(LetterWritten,), handler=sender),),
        jobs={
            "claims.expire": claim_expiry.expire_claims,
            "claims.release": claim_expiry.release_closed,
            "links.purge": one_time_tokens.delete_expired,
        },
        tasks=(email_transport.detect_features,)
        if isinstance(email_transport, SmtpTransport)
        else (),
    )


def build_email_transport(settings: MailSettings, clock: Clock) -> EmailTransport:
    """Return the e-mail transport of *settings*."""
    builder = MessageBuilder(settings.sender, clock)
    if settings.folder is not None:
        return FolderTransport(settings.folder, builder)
    if settings.smtp is not None:
        return SmtpTransport(settings.smtp, builder)
    return DisabledTransport()
