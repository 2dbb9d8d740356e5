"""Both departments compare names alike (B2 to B5)."""

from collections.abc import AsyncIterator
from datetime import date

import pytest
from prometheus_client import CollectorRegistry

from govid.bus import SystemClock
from govid.bus.shared.identifiers import ClaimedFacts
from govid.bus.shared.verification import IdentityClaim
from govid.bus.upstream import Department, RequestPolicy, UpstreamMetrics, in_process_transport
from govid.hmrc.clients import oauth as hmrc_oauth
from govid.hmrc.clients.factory import build_verifier
from govid.hmrc.clients.interfaces import NinoVerifier
from govid.hmrc.simulator import BASE_URL as HMRC_URL
from govid.hmrc.simulator import SCOPE, HmrcSimulator
from govid.hmrc.simulator.people import SimulatedPerson as Taxpayer
from govid.nhs.clients import oauth as nhs_oauth
from govid.nhs.clients.factory import NhsConnection
from govid.nhs.clients.interfaces import PatientRegistry
from govid.nhs.simulator import BASE_URL as NHS_URL
from govid.nhs.simulator import ClientKey, NhsSimulator
from govid.nhs.simulator.patients import SimulatedPatient as Patient
from tests.departments.hmrc.api_requests import PDV_PATH

NUMBER, NINO, BORN = "9990000085", "WW000003C", date(1980, 2, 29)
QUICK = RequestPolicy(total_seconds=2, first_backoff_seconds=0.001)


class Departments:
    """Both departments, with one person on record at each."""

    def __init__(self, patients: PatientRegistry, taxpayers: NinoVerifier) -> None:
        self._patients = patients
        self._taxpayers = taxpayers

    async def compare_names(self, given: str | None, family: str) -> tuple[str, str]:
        """Return what the NHS and HMRC say of a claim to be that person."""
        facts = ClaimedFacts(given_name=given, family_name=family, date_of_birth=BORN)
        nhs = await self._patients.verify(IdentityClaim(number=NUMBER, facts=facts))
        hmrc = await self._taxpayers.verify(IdentityClaim(number=NINO, facts=facts))
        return nhs.outcome.value, hmrc.outcome.value


@pytest.fixture
def name(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Return given and family name of the person on record."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def taxes(name: tuple[str, str]) -> HmrcSimulator:
    simulator = HmrcSimulator(is_limited=False)
    simulator.people.add(Taxpayer(nino=NINO, first=name[0], last=name[1], born=BORN))
    return simulator


@pytest.fixture
def health(name: tuple[str, str], client_key: ClientKey) -> NhsSimulator:
    simulator = NhsSimulator(key=client_key, is_limited=False)
    simulator.people.add(
        Patient(
            number=NUMBER,
            family=name[1] or None,
            given=tuple(name[0].split()),
            born=BORN.isoformat(),
        )
    )
    return simulator


@pytest.fixture(scope="session")
def client_key() -> ClientKey:
    return ClientKey()


@pytest.fixture
async def departments(taxes: HmrcSimulator, health: NhsSimulator) -> AsyncIterator[Departments]:
    metrics = UpstreamMetrics(CollectorRegistry())
    nhs = Department("nhs", transport=in_process_transport(health.application), metrics=metrics)
    hmrc = Department("hmrc", transport=in_process_transport(taxes.application), metrics=metrics)
    signer = nhs_oauth.SigningCredentials(
        client_id=health.client_id, kid=health.kid, key=lambda: health.key.pem
    )
    client = hmrc_oauth.ClientCredentials(
        client_id=taxes.client_id, client_secret=lambda: taxes.client_secret, scope=SCOPE
    )
    yield Departments(
        NhsConnection(nhs, NHS_URL, signer, SystemClock(), policy=QUICK).build_patient_registry(),
        build_verifier(hmrc, HMRC_URL, client, "pdv", pdv_path=PDV_PATH, policy=QUICK),
    )
    await nhs.close()
    await hmrc.close()


@pytest.mark.parametrize(
    ("name", "given", "family"),
    [
        (("Lukasz", "Nowak"), "Łukasz", "Nowak"),
        (("Oyvind", "Thorsson"), "Øyvind", "Þórsson"),
        (("Øyvind", "Þórsson"), "Oeyvind", "Thorsson"),
        (("Aelfric", "Dang"), "Ælfric", "Đặng"),
        (("James", "St John"), "James", "St. John"),
        (("Kai", "Hawaii"), "Kai", "Hawaiʻi"),
        (("Joerg", "Muller"), "Jörg", "Müller"),
        (("Jorg", "Mueller"), "Jörg", "Müller"),
        (("Jörg", "Müller"), "Jorg", "Mueller"),
        (("Anne-Marie", "Smith"), "Anne Marie", "Smith"),
        (("Anne Marie", "Smith"), "Anne-Marie", "Smith"),
        (("A.P.J.", "Kalam"), "A P J", "Kalam"),
        (("A P J", "Kalam"), "A.P.J.", "Kalam"),
        (("Jean-Pierre", "Blanc"), "Jean Pierre", "Blanc"),
    ],
    indirect=["name"],
)
async def test_b2_b3_one_name_in_two_spellings_matches_at_both_departments(
    departments: Departments, given: str, family: str
) -> None:
    assert await departments.compare_names(given, family) == ("match", "match")


@pytest.mark.parametrize(
    ("name", "given", "family"),
    [
        (("Lukasz", "Nowak"), "Lucas", "Nowak"),
        (("Joerg", "Mueller"), "Jorg", "Muller"),
        (("Jean-Pierre", "Blanc"), "Jean-Paul", "Blanc"),
        (("Anne", "Smith"), "Marie", "Smith"),
        (("Anne", "Smith"), "Anne", "Smyth"),
    ],
    indirect=["name"],
)
async def test_b2_b3_another_name_matches_at_neither(
    departments: Departments, given: str, family: str
) -> None:
    assert await departments.compare_names(given, family) == ("mismatch", "mismatch")


@pytest.mark.parametrize(
    ("name", "family", "verdict"),
    [
        (("", "Suharto"), "SUHARTO", "match"),
        (("Suharto", ""), "Suharto", "match"),
        (("", "Sükarno"), "Suekarno", "match"),
        (("", "Suharto"), "Sukarno", "mismatch"),
        (("Bill", "Suharto"), "Suharto", "mismatch"),
    ],
    indirect=["name"],
)
async def test_b5_one_name_is_compared_with_a_record_that_has_one(
    departments: Departments, family: str, verdict: str
) -> None:
    assert await departments.compare_names(None, family) == (verdict, "insufficient")


@pytest.mark.parametrize("name", [("", "Suharto")], indirect=True)
async def test_b5_two_names_do_not_match_a_record_that_has_one(departments: Departments) -> None:
    nhs, _ = await departments.compare_names("Haji", "Suharto")
    assert nhs == "mismatch"
