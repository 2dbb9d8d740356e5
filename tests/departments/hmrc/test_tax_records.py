"""The remote implementations of `ConsentClient` and `TaxRecordClient`."""

import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
from msgspec import structs

from govid.bus.upstream import (
    CredentialsRejected,
    Department,
    RequestPolicy,
    UnexpectedSimulator,
    UnusableResponse,
    UpstreamRateLimited,
    UpstreamUnavailable,
)
from govid.hmrc.clients import factory
from govid.hmrc.clients.interfaces import (
    AccessTokenRefused,
    DataNotFound,
    EmploymentSummary,
    GrantedTokens,
    InvalidConsentCode,
    InvalidTaxRequest,
    ReconsentRequired,
    ReferenceNotPermitted,
    StateBenefits,
    TaxRecordRequest,
    TaxYearSummary,
)
from govid.hmrc.clients.oauth import SCOPES, ClientCredentials, RemoteConsentClient
from govid.hmrc.clients.tax_apis import RemoteTaxRecordClient
from govid.hmrc.simulator import HmrcSimulator
from govid.hmrc.simulator.applications import OUT_OF_BAND
from govid.hmrc.tax_values import TaxYear
from tests.departments.clock import MovingClock
from tests.departments.hmrc.api_requests import HmrcRequests
from tests.departments.hmrc.consent_browser import VERIFIER, ConsentBrowser, challenge
from tests.departments.hmrc.target import Target
from tests.departments.hmrc.tax_requests import IDA_UTR, OTHER_UTR
from tests.departments.loopback import served

QUICK = RequestPolicy(total_seconds=2, first_backoff_seconds=0.001)
HURRIED = structs.replace(QUICK, total_seconds=0.5)
"""For an HMRC that says nothing: any patience is too much."""
PATIENT = structs.replace(QUICK, total_seconds=30)
"""For one that answers at once, which an engaged machine may take long to read."""
YEAR = TaxYear(2024)
SUBJECT = TaxRecordRequest(utr=IDA_UTR, access_token="canary", correlation_id="c-1")
Answers = Callable[[httpx.Request], httpx.Response]


class Behind(httpx.AsyncBaseTransport):
    """An HMRC that answers as a test says."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.answers(request)
        # The library's own response is read in advance, which no network does.
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content)
        )


class Connected:
    """Both adapters, reached in one way."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None,
        url: str,
        policy: RequestPolicy = QUICK,
        **who: Any,
    ) -> None:
        self.department = Department("hmrc-taxes", transport=transport, **who.pop("more", {}))
        credentials = ClientCredentials(**who) if who else None
        self.records: RemoteTaxRecordClient = factory.build_tax_record_client(
            self.department, url, policy=policy
        )
        self.consent_client: RemoteConsentClient = factory.build_consent_client(
            self.department,
            url,
            credentials or ClientCredentials(client_id="me", client_secret=lambda: "canary"),
            page_url=url,
            redirect_uri=OUT_OF_BAND,
            policy=policy,
        )


@pytest.fixture
async def connected(target: Target) -> AsyncIterator[Connected]:
    connected = Connected(
        target.transport,
        target.url,
        client_id=target.client_id,
        client_secret=lambda: target.client_secret,
    )
    yield connected
    await connected.department.close()


@pytest.fixture
async def answered() -> AsyncIterator[Callable[[Answers], Connected]]:
    """Yield a function that puts an HMRC of the test's own behind the adapters."""
    opened: list[Connected] = []

    def behind(answers: Answers, **more: Any) -> Connected:
        opened.append(Connected(Behind(answers), "http://hmrc.example", more=more))
        return opened[-1]

    yield behind
    for one in opened:
        await one.department.close()


async def agreed(connected: Connected, asking: HmrcRequests) -> str:
    """Consent as Ida, as a browser would, and return the code that it is given."""
    question = urlsplit(connected.consent_client.authorisation_url("the state", challenge()))
    form = {name: values[0] for name, values in parse_qs(question.query).items()}
    shown = await ConsentBrowser(asking).decide(**form)
    return shown.text.partition("code: <b>")[2].partition("</b>")[0]


async def consented(connected: Connected, asking: HmrcRequests) -> GrantedTokens:
    """Consent as Ida, and return the result."""
    return await connected.consent_client.redeem(await agreed(connected, asking), VERIFIER, "c-1")


@pytest.fixture
async def reading(connected: Connected, asking: HmrcRequests) -> TaxRecordRequest:
    """Return the request for Ida's taxes, for which she has just consented."""
    granted = await consented(connected, asking)
    return TaxRecordRequest(utr=IDA_UTR, access_token=granted.access_token)


def json(content: object, status: int = 200) -> Answers:
    return lambda _: httpx.Response(status, json=content)


def text(content: str) -> Answers:
    return lambda _: httpx.Response(
        200, content=content, headers={"Content-Type": "application/json"}
    )


def by_subject(contents: Mapping[str, str]) -> Answers:
    """Answer each of the three by its subject; who is not named has no data."""

    def answer(request: httpx.Request) -> httpx.Response:
        subject = request.url.path.split("/")[1].removeprefix("individual-")
        if subject not in contents:
            return httpx.Response(404, json={"code": "NOT_FOUND", "message": "x"})
        return text(contents[subject])(request)

    return answer


def test_the_page_is_asked_for_all_that_is_read_and_with_a_proof(
    answered: Callable[..., Connected],
) -> None:
    url = urlsplit(answered(json({})).consent_client.authorisation_url("a state", "a-challenge"))
    assert f"{url.scheme}://{url.netloc}{url.path}" == "http://hmrc.example/oauth/authorize"
    assert {name: values[0] for name, values in parse_qs(url.query).items()} == {
        "response_type": "code",
        "client_id": "me",
        "scope": " ".join(SCOPES),
        "state": "a state",
        "redirect_uri": OUT_OF_BAND,
        "code_challenge": "a-challenge",
        "code_challenge_method": "S256",
    }


async def test_who_consented_is_read_from_three_places(
    connected: Connected, asking: HmrcRequests
) -> None:
    granted = await consented(connected, asking)
    reading = TaxRecordRequest(utr=IDA_UTR, access_token=granted.access_token)
    assert granted.life_seconds == 14_400
    assert await connected.records.fetch_summary(reading, YEAR) == TaxYearSummary(
        employments=(
            EmploymentSummary(
                paye_reference="123/AB456",
                employer="Acme Ltd",
                is_off_payroll=False,
                pay=Decimal("22520.65"),
                tax=Decimal("1990.10"),
            ),
            EmploymentSummary(
                paye_reference="456/CD789",
                employer="Globex plc",
                pay=Decimal("899.00"),
                tax=Decimal("0.00"),
            ),
        ),
        received=StateBenefits(
            other_pensions_and_retirement_annuities=Decimal("1252.75"),
            incapacity_benefit=Decimal("0.00"),
        ),
        taken_off=StateBenefits(other_pensions_and_retirement_annuities=Decimal("250.55")),
        refunded=Decimal("0.00"),
    )


async def test_the_account_is_read_whole(connected: Connected, reading: TaxRecordRequest) -> None:
    account = await connected.records.fetch_account(reading, date(2024, 4, 6))
    assert account.balance_details.total_balance == Decimal(2500)
    assert account.charge_details[0].tax_year == "2024-2025"
    assert account.refund_details[0].total_refund_amount == Decimal("355.25")
    assert account.payment_history_details[0].payment_date == date(2025, 4, 11)


async def test_where_one_knows_something_the_others_no_data_is_no_zero(
    connected: Connected, reading: TaxRecordRequest
) -> None:
    assert await connected.records.fetch_summary(reading, TaxYear(2023)) == TaxYearSummary(
        employments=(), taken_off=StateBenefits(), refunded=Decimal("342.92")
    )


async def test_where_no_one_knows_anything_there_is_no_data(
    connected: Connected, reading: TaxRecordRequest
) -> None:
    with pytest.raises(DataNotFound):
        await connected.records.fetch_summary(reading, TaxYear(2019))


async def test_another_persons_reference_is_not_permitted(
    connected: Connected, reading: TaxRecordRequest
) -> None:
    another = structs.replace(reading, utr=OTHER_UTR)
    with pytest.raises(ReferenceNotPermitted):
        await connected.records.fetch_summary(another, YEAR)
    with pytest.raises(ReferenceNotPermitted):
        await connected.records.fetch_account(another, date(2024, 4, 6))


async def test_a_renewal_ends_what_was_before(connected: Connected, asking: HmrcRequests) -> None:
    granted = await consented(connected, asking)
    renewed = await connected.consent_client.renew(granted.refresh_token, None)
    with pytest.raises(ReconsentRequired):
        await connected.consent_client.renew(granted.refresh_token, None)
    with pytest.raises(AccessTokenRefused):
        await connected.records.fetch_summary(
            TaxRecordRequest(utr=IDA_UTR, access_token=granted.access_token), YEAR
        )
    new = TaxRecordRequest(utr=IDA_UTR, access_token=renewed.access_token)
    assert (await connected.records.fetch_summary(new, YEAR)).employments is not None


async def test_after_eighteen_months_consent_is_asked_for_again(
    simulated: Target, asking_simulator: HmrcRequests, clock: MovingClock, simulator: HmrcSimulator
) -> None:
    connected = Connected(
        simulated.transport,
        simulated.url,
        client_id=simulator.client_id,
        client_secret=lambda: simulator.client_secret,
    )
    granted = await consented(connected, asking_simulator)
    clock.ahead += msgspec.convert("P549D", type=type(clock.ahead))
    with pytest.raises(ReconsentRequired):
        await connected.consent_client.renew(granted.refresh_token, None)
    await connected.department.close()


async def test_a_code_works_once(connected: Connected, asking: HmrcRequests) -> None:
    code = await agreed(connected, asking)
    first = await connected.consent_client.redeem(code, VERIFIER, None)
    with pytest.raises(InvalidConsentCode):
        await connected.consent_client.redeem(code, VERIFIER, None)
    assert first.life_seconds == 14_400


async def test_a_code_that_was_never_given_out_is_not_good(connected: Connected) -> None:
    with pytest.raises(InvalidConsentCode):
        await connected.consent_client.redeem("canary", VERIFIER, None)


@pytest.mark.parametrize(
    "amount",
    ["0", "0.00", "0.1", "1990.10", "-12.34", "4503599627370.97", "9999999999999.99", "1e2"],
)
async def test_an_amount_is_what_was_written(
    answered: Callable[..., Connected], amount: str
) -> None:
    content = f'{{"refunds": {{"taxRefundedOrSetOff": {amount}}}}}'
    summary = await answered(by_subject({"tax": content})).records.fetch_summary(SUBJECT, YEAR)
    assert summary.refunded == Decimal(amount)


@pytest.mark.parametrize("amount", ["0.001", "1e-3", "10000000000000", '"a lot"', "true", "1e400"])
async def test_an_amount_that_is_none_makes_the_answer_unusable(
    answered: Callable[..., Connected], amount: str
) -> None:
    content = f'{{"refunds": {{"taxRefundedOrSetOff": {amount}}}}}'
    connected = answered(by_subject({"tax": content, "income": "{}", "employment": "{}"}))
    with pytest.raises(UnusableResponse):
        await connected.records.fetch_summary(SUBJECT, YEAR)


async def test_what_hmrc_will_add_one_day_is_passed_over(
    answered: Callable[..., Connected],
) -> None:
    content = '{"employments": [{"employerPayeReference": "1/A", "new": {"x": 1}}], "more": []}'
    summary = await answered(by_subject({"employment": content})).records.fetch_summary(
        SUBJECT, YEAR
    )
    assert summary == TaxYearSummary(employments=(EmploymentSummary(paye_reference="1/A"),))


async def test_an_answer_without_any_member_is_an_answer(
    answered: Callable[..., Connected],
) -> None:
    assert (
        await answered(by_subject({"income": "{}"})).records.fetch_summary(SUBJECT, YEAR)
        == TaxYearSummary()
    )


async def test_two_employments_at_one_employer_stay_two(
    answered: Callable[..., Connected],
) -> None:
    two = '{{"employments": [{{"employerPayeReference": "1/A", "{0}": 1}},'
    two += '{{"employerPayeReference": "1/A", "{0}": 2}}]}}'
    answers = by_subject(
        {"tax": two.format("taxTakenOffPay"), "income": two.format("payFromEmployment")}
    )
    summary = await answered(answers).records.fetch_summary(SUBJECT, YEAR)
    assert summary.employments == (
        EmploymentSummary(paye_reference="1/A", pay=Decimal(1), tax=Decimal(1)),
        EmploymentSummary(paye_reference="1/A", pay=Decimal(2), tax=Decimal(2)),
    )


@pytest.mark.parametrize(
    ("status", "content", "error"),
    [
        (401, {"code": "INVALID_CREDENTIALS"}, AccessTokenRefused),
        (401, {"code": "UNAUTHORIZED"}, ReferenceNotPermitted),
        (403, {"code": "FORBIDDEN"}, ReferenceNotPermitted),
        (403, {"code": "CLIENT_NOT_SUBSCRIBED"}, ReferenceNotPermitted),
        (403, {"code": "CLIENT_OR_AGENT_NOT_AUTHORISED"}, ReferenceNotPermitted),
        (403, {"code": "INVALID_SCOPE"}, ReconsentRequired),
        (403, {"code": "RESOURCE_FORBIDDEN"}, CredentialsRejected),
        (401, {"code": "MISSING_CREDENTIALS"}, CredentialsRejected),
        (400, {"code": "SA_UTR_INVALID"}, InvalidTaxRequest),
        (400, {"code": "TAX_YEAR_INVALID"}, InvalidTaxRequest),
        (404, {"code": "MATCHING_RESOURCE_NOT_FOUND"}, UnusableResponse),
        (406, {"code": "ACCEPT_HEADER_INVALID"}, UnusableResponse),
        (400, {"failure": {"type": "BAD_REQUEST"}}, InvalidTaxRequest),
        (401, {"failure": {"type": "UNAUTHORISED"}}, ReferenceNotPermitted),
        (403, {"failure": {"type": "FORBIDDEN"}}, ReferenceNotPermitted),
        (404, {"failure": {"type": "NOT_FOUND"}}, DataNotFound),
        (404, {"failure": {}}, UnusableResponse),
        (404, {}, UnusableResponse),
        (404, [], UnusableResponse),
        (429, {"code": "MESSAGE_THROTTLED_OUT"}, UpstreamRateLimited),
        (500, {"message": "canary"}, UpstreamUnavailable),
        (503, {"failure": {"type": "SERVICE_UNAVAILABLE"}}, UpstreamUnavailable),
    ],
)
async def test_a_refusal_is_reported_by_its_code_in_both_forms(
    answered: Callable[..., Connected], status: int, content: object, error: type[Exception]
) -> None:
    connected = answered(json(content, status))
    for_a_year = connected.records.fetch_summary(SUBJECT, YEAR)
    for_the_account = connected.records.fetch_account(SUBJECT, date(2024, 4, 6))
    with pytest.raises(error):
        await for_the_account
    with pytest.raises(error):
        await for_a_year


@pytest.mark.parametrize(
    ("status", "code", "state"),
    [(401, "UNAUTHORIZED", "ok"), (403, "FORBIDDEN", "ok"), (403, "RESOURCE_FORBIDDEN", "down")],
)
async def test_one_persons_refusal_opens_no_breaker_and_govids_own_does(
    answered: Callable[..., Connected], status: int, code: str, state: str
) -> None:
    connected = answered(json({"code": code}, status))
    with pytest.raises((ReferenceNotPermitted, CredentialsRejected)):
        await connected.records.fetch_account(SUBJECT, date(2024, 4, 6))
    assert connected.department.state == state


@pytest.mark.parametrize(
    ("status", "error", "for_a_code", "for_a_renewal"),
    [
        (400, "invalid_grant", InvalidConsentCode, ReconsentRequired),
        (400, "invalid_request", InvalidConsentCode, CredentialsRejected),
        (400, ["invalid_grant"], CredentialsRejected, CredentialsRejected),
        (401, "invalid_client", CredentialsRejected, CredentialsRejected),
        (400, "invalid_scope", CredentialsRejected, CredentialsRejected),
        (500, "server_error", UpstreamUnavailable, UpstreamUnavailable),
    ],
)
async def test_what_is_said_of_a_persons_tokens_is_distinguished_from_what_is_said_of_govid(
    answered: Callable[..., Connected],
    status: int,
    error: object,
    for_a_code: type[Exception],
    for_a_renewal: type[Exception],
) -> None:
    with pytest.raises(for_a_code):
        await answered(json({"error": error}, status)).consent_client.redeem("c", "v", None)
    with pytest.raises(for_a_renewal):
        await answered(json({"error": error}, status)).consent_client.renew("r", None)


@pytest.mark.parametrize(
    "answers",
    [
        json({"error": "blocked"}, 403),
        json({}, 403),
        json({"error": "invalid_client"}, 403),
        json({"error": "invalid_client"}, 404),
        json({"error": None}, 406),
        json({"error": "too large"}, 413),
        json([], 451),
        lambda _: httpx.Response(403, html="<html>blocked</html>"),
    ],
)
async def test_e6_what_a_firewall_says_of_one_code_stops_no_one_else(
    answered: Callable[..., Connected], answers: Answers
) -> None:
    connected = answered(answers)
    with pytest.raises(UnusableResponse):
        await connected.consent_client.redeem("' OR 1=1", "v", None)
    with pytest.raises(UnusableResponse):
        await connected.consent_client.renew("r", None)
    assert connected.department.state == "ok"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        ("invalid_client", "down"),
        ("unauthorized_client", "down"),
        ("unsupported_grant_type", "down"),
        ("invalid_scope", "down"),
        ("something_new", "ok"),
        (["invalid_client"], "ok"),
        (None, "ok"),
    ],
)
async def test_e6_only_a_refusal_by_the_platform_opens_the_breaker(
    answered: Callable[..., Connected], error: object, state: str
) -> None:
    connected = answered(json({"error": error}, 401))
    with pytest.raises(CredentialsRejected):
        await connected.consent_client.redeem("c", "v", None)
    assert connected.department.state == state


@pytest.mark.parametrize("code", ["RESOURCE_FORBIDDEN", "MISSING_CREDENTIALS", "HTTPS_REQUIRED"])
@pytest.mark.parametrize("status", [400, 404, 409])
async def test_e6_a_word_of_the_platform_under_another_status_opens_no_breaker(
    answered: Callable[..., Connected], code: str, status: int
) -> None:
    connected = answered(json({"code": code}, status))
    with pytest.raises(UnusableResponse):
        await connected.records.fetch_account(SUBJECT, date(2024, 4, 6))
    assert connected.department.state == "ok"


async def test_a_token_that_works_once_is_sent_once(
    answered: Callable[..., Connected],
) -> None:
    sent: list[httpx.Request] = []

    def gone(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        raise httpx.ReadError("canary")

    consent_client = answered(gone).consent_client
    with pytest.raises(UpstreamUnavailable):
        await consent_client.renew("canary", None)
    with pytest.raises(UpstreamUnavailable):
        await consent_client.redeem("canary", "canary", None)
    assert len(sent) == 2


async def test_a_reading_is_sent_again(answered: Callable[..., Connected]) -> None:
    answers = iter(
        [
            httpx.Response(503),
            httpx.Response(
                200,
                json={
                    "balanceDetails": {
                        "totalOverdueBalance": 0,
                        "totalPayableBalance": 0,
                        "totalPendingBalance": 0,
                        "totalBalance": 0,
                        "totalCreditAvailable": 0,
                    }
                },
            ),
        ]
    )
    connected = answered(lambda _: next(answers))
    account = await connected.records.fetch_account(SUBJECT, date(2024, 4, 6))
    assert account.charge_details == ()


async def test_an_hmrc_that_confesses_to_be_simulated_shows_nothing_where_that_is_not_allowed(
    answered: Callable[..., Connected],
) -> None:
    confession = lambda _: httpx.Response(200, json={}, headers={"X-Simulator": "govid"})  # noqa: E731 - a word for it
    connected = answered(confession, refuse_simulators=True)
    with pytest.raises(UnexpectedSimulator):
        await connected.records.fetch_account(SUBJECT, date(2024, 4, 6))


@pytest.mark.parametrize(
    ("fault", "error", "patience"),
    [
        ("429", UpstreamRateLimited, PATIENT),
        ("503", UpstreamUnavailable, PATIENT),
        ("timeout", UpstreamUnavailable, HURRIED),
        ("reset", UpstreamUnavailable, PATIENT),
        ("personal-data", UpstreamUnavailable, PATIENT),
        ("giant", UnusableResponse, PATIENT),
        ("malformed", UnusableResponse, PATIENT),
        ("wrong-type", UnusableResponse, PATIENT),
    ],
)
async def test_every_fault_is_reported_as_what_it_is_and_tells_of_no_one(
    simulator: HmrcSimulator,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    error: type[Exception],
    patience: RequestPolicy,
) -> None:
    simulator.faults.set_fault(fault)
    async with served(simulator.application) as url:
        connected = Connected(None, url, policy=patience)
        with caplog.at_level("DEBUG"), pytest.raises(error) as for_a_year:
            await connected.records.fetch_summary(SUBJECT, YEAR)
        with pytest.raises(error):
            await connected.records.fetch_account(SUBJECT, date(2024, 4, 6))
        with pytest.raises(error):
            await connected.consent_client.renew("canary", None)
        await connected.department.close()
    reported = "".join(traceback.format_exception(for_a_year.value)) + caplog.text
    assert [
        word for word in ("canary", IDA_UTR, "Jane Canary", "AA000003D") if word in reported
    ] == []


async def test_nothing_of_a_person_is_in_what_goes_wrong(
    answered: Callable[..., Connected], caplog: pytest.LogCaptureFixture
) -> None:
    connected = answered(json({"message": "canary", "code": ["canary"]}, 418))
    with caplog.at_level("DEBUG"), pytest.raises(UnusableResponse) as caught:
        await connected.records.fetch_summary(SUBJECT, YEAR)
    reported = "".join(traceback.format_exception(caught.value)) + caplog.text
    reported += "".join(str(record.__dict__) for record in caplog.records)
    assert "canary" not in reported
    assert IDA_UTR not in reported


@pytest.mark.parametrize(
    "shown",
    [
        SUBJECT,
        GrantedTokens(access_token="canary", refresh_token="canary", life_seconds=1),
        EmploymentSummary(paye_reference="canary"),
        TaxYearSummary(),
    ],
)
def test_what_is_personal_shows_its_name_only(shown: object) -> None:
    assert repr(shown) == f"<{type(shown).__name__}>"
