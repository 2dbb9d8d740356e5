"""Files, lists and removes the patient records of an account holder."""

from uuid import UUID

from govid.bus import (
    BlockedAccounts,
    InvalidRequest,
    OperationContext,
    Page,
    Principal,
    UnitOfWork,
    rerun_on_conflict,
)
from govid.bus.events import IdentifierType, PatientRecordRefused
from govid.bus.shared.assurance import AccountIsBlocked
from govid.bus.shared.identifiers import VerifiedIdentifierLookup, normalise_identifier
from govid.nhs.eligibility import AccountQuotas
from govid.nhs.errors import NhsNumberVerifiedElsewhere, PatientRecordNotFound
from govid.nhs.repository import PatientRepository
from govid.nhs.schemas import FilePatient, PatientView


class PatientRecords:
    """Files, lists and removes patient records; each belongs to one account."""

    def __init__(
        self,
        uow: UnitOfWork,
        accounts: BlockedAccounts,
        patients: PatientRepository,
        quotas: AccountQuotas,
        verified_identifiers: VerifiedIdentifierLookup | None,
        *,
        accept_prototype_nhs: bool,
    ) -> None:
        """Refuse an NHS number that *verified_identifiers* reports for another account.

        *accept_prototype_nhs* accepts the prototype's form of an NHS number too.
        """
        self._uow = uow
        self._accounts = accounts
        self._patients = patients
        self._quotas = quotas
        self._verified_identifiers = verified_identifiers
        self._accept_prototype_nhs = accept_prototype_nhs

    @rerun_on_conflict
    async def file(
        self, record: FilePatient, principal: Principal, context: OperationContext
    ) -> PatientView:
        """Store *record* as the principal's own.

        Raises:
            InvalidRequest: the NHS number is malformed.
            QuotaReached: the account has reached its quota of records.
            AccountIsBlocked: the account was blocked while this request was being processed.
            NhsNumberVerifiedElsewhere: the number was verified for another account.
            RateExceeded: such refusals reached their daily limit; no record is filed then.
        """
        try:
            number = normalise_identifier(
                IdentifierType.NHS,
                record.nhs_number,
                accept_prototype_nhs=self._accept_prototype_nhs,
            )
        except ValueError as error:
            raise InvalidRequest.for_field("nhsNumber", str(error), "nhs_number_format") from error
        account_id = principal.account_id
        is_refused = (
            self._verified_identifiers is not None
            and await self._verified_identifiers.is_verified_elsewhere(
                account_id, IdentifierType.NHS, number
            )
        )
        async with self._uow.begin(context) as tx:
            if await self._accounts.lock_and_check(tx, account_id):
                raise AccountIsBlocked
            await self._quotas.count_refused_number(tx, account_id, is_refused=is_refused)
            if not is_refused:
                await self._quotas.check_patient_records(tx, account_id)
                return await self._patients.insert_filed(tx, account_id, record, number)
            tx.emit(PatientRecordRefused(account_id=account_id, timestamp=tx.now))
        raise NhsNumberVerifiedElsewhere

    async def remove(
        self, record_id: UUID, principal: Principal, context: OperationContext
    ) -> None:
        """Delete a record that the principal has filed. A record of the registry stays.

        Raises:
            PatientRecordNotFound: it does not exist, belongs to another account, or came from
                the registry.
        """
        async with self._uow.begin(context) as tx:
            if not await self._patients.delete_filed(tx, principal.account_id, record_id):
                raise PatientRecordNotFound

    async def list_own(
        self, principal: Principal, *, limit: int, after: UUID | None
    ) -> Page[PatientView]:
        """Return one page of the principal's own records."""
        return await self._patients.fetch_page(principal.account_id, limit=limit, after=after)
