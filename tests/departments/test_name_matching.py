"""Both departments compare names alike (B2 to B5)."""

from collections.abc import AsyncIterator
from datetime import date

import pytest

from govid.hmrc.simulator.people import SimulatedPerson as Taxpayer
from govid.nhs.simulator import ClientKey
from govid.nhs.simulator.patients import SimulatedPatient as Patient
from tests.departments.verification_contracts import (
    Connect,
    ConnectedContract,
    HmrcContract,
    PdsContract,
)

NUMBER, NINO, BORN = "9990000085", "WW000003C", "1980-02-29"


class BothDepartments:
    """Both departments, with one person on record at each."""

    def __init__(self, nhs: ConnectedContract, hmrc: ConnectedContract) -> None:
        self._nhs = nhs
        self._hmrc = hmrc

    def add_person(self, given: str, family: str) -> None:
        self._nhs.simulator.people.add(
            Patient(number=NUMBER, family=family or None, given=tuple(given.split()), born=BORN)
        )
        self._hmrc.simulator.people.add(
            Taxpayer(nino=NINO, first=given, last=family, born=date.fromisoformat(BORN))
        )

    async def compare_names(self, given: str | None, family: str) -> tuple[str, str]:
        """Return the outcomes of the NHS and HMRC for a claim to be that person."""
        nhs = await self._nhs.verify(NUMBER, given, family, BORN)
        hmrc = await self._hmrc.verify(NINO, given, family, BORN)
        return nhs.outcome.value, hmrc.outcome.value


@pytest.fixture
async def departments(
    request: pytest.FixtureRequest, client_key: ClientKey, connect: Connect
) -> AsyncIterator[BothDepartments]:
    """Yield both departments, at which the parameter is the name of a person on record."""
    pds, pdv = PdsContract(client_key), HmrcContract("pdv")
    health, taxes = pds.build_simulator(is_limited=False), pdv.build_simulator(is_limited=False)
    async with pds.reached("in process", health) as nhs, pdv.reached("in process", taxes) as hmrc:
        both = BothDepartments(
            ConnectedContract(pds, health, nhs, connect),
            ConnectedContract(pdv, taxes, hmrc, connect),
        )
        both.add_person(*request.param)
        yield both


@pytest.mark.parametrize(
    ("departments", "given", "family", "verdict"),
    [
        (("Lukasz", "Nowak"), "Łukasz", "Nowak", "match"),
        (("Oyvind", "Thorsson"), "Øyvind", "Þórsson", "match"),
        (("Øyvind", "Þórsson"), "Oeyvind", "Thorsson", "match"),
        (("Aelfric", "Dang"), "Ælfric", "Đặng", "match"),
        (("James", "St John"), "James", "St. John", "match"),
        (("Kai", "Hawaii"), "Kai", "Hawaiʻi", "match"),
        (("Joerg", "Muller"), "Jörg", "Müller", "match"),
        (("Jorg", "Mueller"), "Jörg", "Müller", "match"),
        (("Jörg", "Müller"), "Jorg", "Mueller", "match"),
        (("Anne-Marie", "Smith"), "Anne Marie", "Smith", "match"),
        (("Anne Marie", "Smith"), "Anne-Marie", "Smith", "match"),
        (("A.P.J.", "Kalam"), "A P J", "Kalam", "match"),
        (("A P J", "Kalam"), "A.P.J.", "Kalam", "match"),
        (("Jean-Pierre", "Blanc"), "Jean Pierre", "Blanc", "match"),
        (("Lukasz", "Nowak"), "Lucas", "Nowak", "mismatch"),
        (("Joerg", "Mueller"), "Jorg", "Muller", "mismatch"),
        (("Jean-Pierre", "Blanc"), "Jean-Paul", "Blanc", "mismatch"),
        (("Anne", "Smith"), "Marie", "Smith", "mismatch"),
        (("Anne", "Smith"), "Anne", "Smyth", "mismatch"),
    ],
    indirect=["departments"],
)
async def test_b2_b3_one_name_in_two_spellings_matches_at_both_and_another_at_neither(
    departments: BothDepartments, given: str, family: str, verdict: str
) -> None:
    assert await departments.compare_names(given, family) == (verdict, verdict)


@pytest.mark.parametrize(
    ("departments", "family", "verdict"),
    [
        (("", "Suharto"), "SUHARTO", "match"),
        (("Suharto", ""), "Suharto", "match"),
        (("", "Sükarno"), "Suekarno", "match"),
        (("", "Suharto"), "Sukarno", "mismatch"),
        (("Bill", "Suharto"), "Suharto", "mismatch"),
    ],
    indirect=["departments"],
)
async def test_b5_one_name_is_compared_with_a_record_that_has_one(
    departments: BothDepartments, family: str, verdict: str
) -> None:
    assert await departments.compare_names(None, family) == (verdict, "insufficient")


@pytest.mark.parametrize("departments", [("", "Suharto")], indirect=True)
async def test_b5_two_names_do_not_match_a_record_that_has_one(
    departments: BothDepartments,
) -> None:
    nhs, _ = await departments.compare_names("Haji", "Suharto")
    assert nhs == "mismatch"
