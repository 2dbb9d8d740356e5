"""Opening an account."""

from govid.bus import Cause, UnitOfWork, uuid7
from govid.bus.contracts import AccountRegistered
from govid.bus.shared.account_status import AccountStatus
from govid.identity.accounts.questions import Questions
from govid.identity.accounts.unclaimed import Precedents
from govid.identity.passwords.hashing import Passwords
from govid.identity.passwords.turns import Asker
from govid.identity.repository.accounts import Accounts
from govid.identity.repository.facts import Facts
from govid.identity.rules import Applicant, Rules
from govid.identity.schemas import Register, UserView
from govid.identity.throttle.registrations import Counted, Registrations


class Registration:
    """Opens accounts, and asks the department that owns the identifier about each."""

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: Accounts,
        passwords: Passwords,
        rules: Rules,
        precedents: Precedents,
        limits: Registrations,
        facts: Facts,
        questions: Questions,
    ) -> None:
        """Admit by *rules* and *limits*, and hold *precedents* against whoever is admitted.

        What somebody says of themselves goes to *facts*; *questions* go to departments.
        """
        self._uow = uow
        self._accounts = accounts
        self._passwords = passwords
        self._rules = rules
        self._precedents = precedents
        self._limits = limits
        self._facts = facts
        self._questions = questions

    async def register(self, request: Register, cause: Cause) -> UserView:
        """Open an account that waits for its verification. Nobody is signed in by it.

        Raises:
            Invalid: a field is not well-formed.
            EmailTaken: another account has this address.
            IdentifierTaken: another account holds this identifier.
            TooManyAttempts: from this network, or for what is taken.
            SignInBusy: too many passwords are being hashed.
        """
        applicant = self._rules.admit(request)
        async with self._limits.counting(
            applicant.email_canonical, applicant.identifier_type, applicant.identifier_value, cause
        ) as counted:
            asker = Asker.of(cause, applicant.email_canonical)
            password_hash = await self._passwords.hash(applicant.password, asker)
            return await self._open(applicant, password_hash, counted, cause)

    async def _open(
        self, applicant: Applicant, password_hash: str, counted: Counted, cause: Cause
    ) -> UserView:
        async with self._uow.begin(cause) as tx:
            view = UserView(
                id=uuid7(),
                email=applicant.email,
                identifier_type=applicant.identifier_type,
                identifier_value=applicant.identifier_value,
                phone_number=applicant.phone_number,
                status=AccountStatus.PENDING,
                auth_provider="email",
                created_at=tx.now,
                updated_at=tx.now,
            )
            await self._accounts.add(
                tx, view, email_canonical=applicant.email_canonical, password_hash=password_hash
            )
            await self._precedents.consider(
                tx, view.id, applicant.identifier_type, applicant.identifier_value
            )
            tx.emit(
                AccountRegistered(
                    account_id=view.id, identifier_type=applicant.identifier_type, timestamp=tx.now
                )
            )
            if applicant.facts is not None:
                await self._facts.put(tx, view.id, applicant.facts)
            await self._questions.ask_or_refuse(
                tx, view.id, applicant.identifier_type, applicant.identifier_value
            )
            await counted.settle(tx)
        return view
