"""Registers accounts and requests their verification."""

from govid.bus import OperationContext, UnitOfWork, uuid7
from govid.bus.events import AccountRegistered
from govid.bus.shared.contract import AccountStatus
from govid.identity.credentials.hash_queue import HashRequester
from govid.identity.credentials.password_hashing import PasswordHashing
from govid.identity.life_events.death_notices import PriorNoticeCheck
from govid.identity.rate_limits.registrations import QuotaUse, RegistrationQuota
from govid.identity.repository.accounts import AccountRepository
from govid.identity.repository.claimed_facts import ClaimedFactsRepository
from govid.identity.schemas import Register, UserView
from govid.identity.validation import RegistrationRules, ValidRegistration
from govid.identity.verification.requests import VerificationRequests


class Registration:
    """Registers an account and requests verification from the department of its identifier."""

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: AccountRepository,
        passwords: PasswordHashing,
        rules: RegistrationRules,
        prior_notices: PriorNoticeCheck,
        quota: RegistrationQuota,
        claimed_facts: ClaimedFactsRepository,
        verification_requests: VerificationRequests,
    ) -> None:
        """Validate by *rules*, count by *quota*, and check for earlier notices by *prior_notices*.

        Facts are stored in *claimed_facts*; *verification_requests* emits the request.
        """
        self._uow = uow
        self._accounts = accounts
        self._passwords = passwords
        self._rules = rules
        self._prior_notices = prior_notices
        self._quota = quota
        self._claimed_facts = claimed_facts
        self._verification_requests = verification_requests

    async def register(self, request: Register, context: OperationContext) -> UserView:
        """Register an account that waits for verification. Does not begin a session.

        Raises:
            InvalidRequest: a field is not well-formed.
            EmailTaken: another account has this address.
            IdentifierTaken: another account has this identifier.
            TooManyAttempts: too many registrations from this network, or too many with this taken
                address or identifier.
            LoginBusy: the queue for password hashing is full.
        """
        registration = self._rules.validate(request)
        async with self._quota.counting(
            registration.email_canonical,
            registration.identifier_type,
            registration.identifier_value,
            context,
        ) as quota_use:
            requester = HashRequester.from_context(context, registration.email_canonical)
            password_hash = await self._passwords.hash(registration.password, requester)
            return await self._create(registration, password_hash, quota_use, context)

    async def _create(
        self,
        registration: ValidRegistration,
        password_hash: str,
        quota_use: QuotaUse,
        context: OperationContext,
    ) -> UserView:
        async with self._uow.begin(context) as tx:
            view = UserView(
                id=uuid7(),
                email=registration.email,
                identifier_type=registration.identifier_type,
                identifier_value=registration.identifier_value,
                phone_number=registration.phone_number,
                status=AccountStatus.PENDING,
                auth_provider="email",
                created_at=tx.now,
                updated_at=tx.now,
            )
            await self._accounts.insert(
                tx, view, email_canonical=registration.email_canonical, password_hash=password_hash
            )
            has_prior_notice = await self._prior_notices.run(
                tx, view.id, registration.identifier_type, registration.identifier_value
            )
            tx.emit(
                AccountRegistered(
                    account_id=view.id,
                    identifier_type=registration.identifier_type,
                    has_prior_notice=has_prior_notice,
                    timestamp=tx.now,
                )
            )
            if registration.facts is not None:
                await self._claimed_facts.save(tx, view.id, registration.facts)
            await self._verification_requests.submit_or_refuse(
                tx, view.id, registration.identifier_type, registration.identifier_value
            )
            await quota_use.record(tx)
        return view
