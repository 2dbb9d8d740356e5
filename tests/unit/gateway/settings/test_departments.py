"""Which clients the settings of the departments select."""

import re
from pathlib import Path
from typing import Any

import pytest

from govid.gateway.checks.production import blocking_problems, warnings
from govid.gateway.settings import Settings, SettingsError, load_from_environment
from govid.nhs import Practice

CREDENTIALS: dict[str, Any] = {
    "GOVID_NHS_BASE_URL": "https://int.api.service.nhs.uk",
    "GOVID_NHS_CLIENT_ID": "client",
    "GOVID_NHS_KEY_ID": "key-1",
    "GOVID_NHS_PRIVATE_KEY": "canary",
}


def settings(*, demonstration: bool = False, **values: Any) -> Settings:
    return load_from_environment(values, demonstration=demonstration, env_file=None)


def refused(**values: Any) -> list[str]:
    with pytest.raises(SettingsError) as error:
        settings(**values)
    return error.value.problems


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in CREDENTIALS.items() if key != name}


@pytest.mark.parametrize(("demonstration", "kind"), [(True, "simulator"), (False, "off")])
def test_without_credentials_auto_depends_on_the_command(demonstration: bool, kind: str) -> None:
    chosen = settings(demonstration=demonstration).nhs
    assert chosen.registry == kind
    assert chosen.accept_prototype_nhs is demonstration


@pytest.mark.parametrize("demonstration", [True, False])
@pytest.mark.parametrize("port", ["auto", "remote"])
def test_with_all_credentials_the_nhs_itself_is_asked(demonstration: bool, port: str) -> None:
    chosen = settings(demonstration=demonstration, GOVID_PATIENT_REGISTRY=port, **CREDENTIALS)
    assert chosen.nhs.registry == "remote"
    assert (chosen.nhs.base_url, chosen.nhs.client_id, chosen.nhs.kid, chosen.nhs.private_key) == (
        *("https://int.api.service.nhs.uk", "client", "key-1", b"canary"),
    )
    assert chosen.nhs.accept_prototype_nhs is False
    assert chosen.identity.accept_prototype_nhs is False


@pytest.mark.parametrize("missing", CREDENTIALS)
@pytest.mark.parametrize("port", ["auto", "remote"])
def test_with_some_credentials_the_missing_ones_are_named(missing: str, port: str) -> None:
    assert refused(GOVID_PATIENT_REGISTRY=port, **without(missing)) == [
        f"GOVID_PATIENT_REGISTRY is {port}, and these are not set: {missing}"
    ]


def test_who_wants_the_nhs_itself_without_credentials_learns_all_of_them() -> None:
    (fault,) = refused(GOVID_PATIENT_REGISTRY="remote")
    assert fault == (
        "GOVID_PATIENT_REGISTRY is remote, and these are not set: GOVID_NHS_BASE_URL, "
        "GOVID_NHS_CLIENT_ID, GOVID_NHS_KEY_ID, GOVID_NHS_PRIVATE_KEY"
    )


PRACTICES: dict[str, Any] = {
    "GOVID_NHS_ODS_CODE": "Y12345",
    "GOVID_NHS_ENDPOINT": "2000000001",
    "GOVID_NHS_PRACTICES": "General practice=2000099999@Y12345, Cardiology=2000011147@A20047",
}


@pytest.mark.parametrize("port", ["auto", "remote"])
def test_with_practices_named_the_nhs_itself_takes_bookings(port: str) -> None:
    chosen = settings(GOVID_APPOINTMENT_PROVIDER=port, **CREDENTIALS, **PRACTICES).nhs
    assert (chosen.takes_bookings, chosen.ods_code, chosen.endpoint) == (
        True,
        "Y12345",
        "2000000001",
    )
    assert chosen.practices == (
        Practice(specialty="General practice", service="2000099999", ods_code="Y12345"),
        Practice(specialty="Cardiology", service="2000011147", ods_code="A20047"),
    )


@pytest.mark.parametrize(
    ("values", "takes_bookings"),
    [
        (CREDENTIALS, False),
        ({"GOVID_PATIENT_REGISTRY": "simulator"}, True),
        ({"GOVID_PATIENT_REGISTRY": "simulator", "GOVID_APPOINTMENT_PROVIDER": "off"}, False),
        ({"GOVID_PATIENT_REGISTRY": "off"}, False),
        ({**CREDENTIALS, **PRACTICES, "GOVID_APPOINTMENT_PROVIDER": "off"}, False),
    ],
)
def test_who_is_asked_about_numbers_takes_bookings_unless_no_one_does(
    values: dict[str, Any], takes_bookings: bool
) -> None:
    assert settings(**values).nhs.takes_bookings is takes_bookings


@pytest.mark.parametrize("missing", PRACTICES)
def test_with_some_of_what_bookings_take_the_missing_is_named(missing: str) -> None:
    some = {name: value for name, value in PRACTICES.items() if name != missing}
    assert refused(**CREDENTIALS, **some) == [
        f"GOVID_APPOINTMENT_PROVIDER is auto, and these are not set: {missing}"
    ]


@pytest.mark.parametrize(
    ("port", "registry"), [("remote", "simulator"), ("simulator", "off"), ("remote", "off")]
)
def test_appointments_are_asked_for_where_numbers_are(port: str, registry: str) -> None:
    assert refused(GOVID_APPOINTMENT_PROVIDER=port, GOVID_PATIENT_REGISTRY=registry) == [
        f"GOVID_APPOINTMENT_PROVIDER is {port}, and the patient registry is {registry}"
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GOVID_NHS_PRACTICES", "Cardiology"),
        ("GOVID_NHS_PRACTICES", "=2000011147@A20047"),
        ("GOVID_NHS_PRACTICES", "Cardiology=2000011147"),
        ("GOVID_NHS_PRACTICES", "Cardiology=x@A20047"),
        ("GOVID_NHS_PRACTICES", "Cardiology=1@A20047,cardiology=2@A20047"),
        ("GOVID_NHS_ODS_CODE", "a 1"),
        ("GOVID_NHS_ENDPOINT", "https://govid.example"),
    ],
)
def test_what_no_practice_can_be_asked_by_is_refused(name: str, value: str) -> None:
    (fault,) = refused(**{**CREDENTIALS, **PRACTICES, name: value})
    assert fault.startswith(f"{name} (command line): ")


@pytest.mark.parametrize("practices", [{}, PRACTICES])
def test_that_no_one_takes_bookings_is_worth_a_warning(practices: dict[str, Any]) -> None:
    reported = warnings(settings(**CREDENTIALS, **practices))
    assert ("No practices take bookings: appointments are answered with 503" in reported) is (
        not practices
    )


@pytest.mark.parametrize("port", ["simulator", "off"])
def test_credentials_do_not_overrule_a_word(port: str) -> None:
    assert settings(GOVID_PATIENT_REGISTRY=port, **CREDENTIALS).nhs.registry == port


def test_the_private_key_can_be_a_file_and_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "nhs.pem"
    key.write_text("-----BEGIN\ncanary\n-----END\n")
    monkeypatch.setenv("GOVID_NHS_PRIVATE_KEY_FILE", str(key))
    chosen = settings(**without("GOVID_NHS_PRIVATE_KEY"))
    assert chosen.nhs.private_key == b"-----BEGIN\ncanary\n-----END"
    assert "canary" not in repr(chosen.nhs) + repr(chosen.table)


@pytest.mark.parametrize("url", ["int.api.service.nhs.uk", "ftp://x", "https://x/path", "https://"])
def test_a_base_url_is_a_host_of_the_web(url: str) -> None:
    (fault,) = refused(**{**CREDENTIALS, "GOVID_NHS_BASE_URL": url})
    assert fault.startswith("GOVID_NHS_BASE_URL (command line): ")


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (
            {"GOVID_PATIENT_REGISTRY": "simulator"},
            "GOVID_PATIENT_REGISTRY is a simulator; to allow it, set GOVID_ALLOW_SIMULATORS=true",
        ),
        (
            {**CREDENTIALS, "GOVID_NHS_BASE_URL": "http://127.0.0.1:9000"},
            "GOVID_NHS_BASE_URL is not an https address",
        ),
        (
            {**CREDENTIALS, "GOVID_DEPARTMENT_LIMITS": False},
            "GOVID_DEPARTMENT_LIMITS is false: the departments would reject requests",
        ),
    ],
)
def test_production_refuses_what_is_no_nhs_unless_it_is_a_rehearsal(
    values: dict[str, Any], fault: str
) -> None:
    assert fault in blocking_problems(settings(**values))
    assert fault not in blocking_problems(settings(GOVID_ALLOW_SIMULATORS=True, **values))


def test_an_nhs_that_is_asked_is_nothing_to_warn_of() -> None:
    reported = warnings(settings(**CREDENTIALS))
    assert [one for one in reported if re.match("GOVID_PATIENT_REGISTRY", one)] == []


@pytest.mark.parametrize(
    ("values", "may_be"),
    [({}, False), ({"GOVID_ALLOW_SIMULATORS": True}, True), ({"demonstration": True}, True)],
)
def test_who_confesses_to_be_simulated_is_refused_in_production(
    values: dict[str, Any], may_be: bool
) -> None:
    assert settings(**values).nhs.may_be_simulated is may_be


HMRC: dict[str, Any] = {
    "GOVID_HMRC_BASE_URL": "https://test-api.service.hmrc.gov.uk",
    "GOVID_HMRC_CLIENT_ID": "client",
    "GOVID_HMRC_CLIENT_SECRET": "canary",
}


@pytest.mark.parametrize(("demonstration", "kind"), [(True, "simulator"), (False, "off")])
def test_without_hmrcs_credentials_auto_depends_on_the_command(
    demonstration: bool, kind: str
) -> None:
    chosen = settings(demonstration=demonstration).hmrc
    assert (chosen.registry, chosen.simulate_death) == (kind, demonstration)


@pytest.mark.parametrize("demonstration", [True, False])
@pytest.mark.parametrize("port", ["auto", "remote"])
def test_with_all_credentials_hmrc_itself_is_asked_and_reports_no_made_up_death(
    demonstration: bool, port: str
) -> None:
    chosen = settings(demonstration=demonstration, GOVID_NINO_VERIFIER=port, **HMRC).hmrc
    assert (chosen.registry, chosen.simulate_death) == ("remote", False)
    assert (chosen.base_url, chosen.client_id, chosen.client_secret) == tuple(HMRC.values())
    assert (chosen.contract, chosen.scope) == ("pdv", "")


@pytest.mark.parametrize("missing", HMRC)
@pytest.mark.parametrize("port", ["auto", "remote"])
def test_with_some_of_hmrcs_credentials_the_missing_ones_are_named(missing: str, port: str) -> None:
    some = {name: value for name, value in HMRC.items() if name != missing}
    assert refused(GOVID_NINO_VERIFIER=port, **some) == [
        f"GOVID_NINO_VERIFIER is {port}, and these are not set: {missing}"
    ]


@pytest.mark.parametrize("port", ["simulator", "off"])
def test_hmrcs_credentials_do_not_overrule_a_word(port: str) -> None:
    assert settings(GOVID_NINO_VERIFIER=port, **HMRC).hmrc.registry == port


def test_what_is_agreed_with_hmrc_can_be_said() -> None:
    chosen = settings(
        **HMRC,
        GOVID_HMRC_CONTRACT="individuals-2",
        GOVID_HMRC_SCOPE="read:individuals-matching-x",
        GOVID_HMRC_PDV_PATH="/match",
    ).hmrc
    assert (chosen.contract, chosen.scope, chosen.pdv_path) == (
        *("individuals-2", "read:individuals-matching-x", "/match"),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GOVID_HMRC_BASE_URL", "https://x/path"),
        ("GOVID_HMRC_CONTRACT", "individuals-3"),
        ("GOVID_HMRC_PDV_PATH", "match"),
    ],
)
def test_what_hmrc_cannot_be_asked_by_is_refused(name: str, value: str) -> None:
    (fault,) = refused(**{**HMRC, name: value})
    assert fault.startswith(f"{name} (command line): ")


def test_hmrcs_secret_is_never_shown() -> None:
    chosen = settings(**HMRC)
    assert "canary" not in repr(chosen.hmrc) + repr(chosen.table)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (
            {"GOVID_NINO_VERIFIER": "simulator"},
            "GOVID_NINO_VERIFIER is a simulator; to allow it, set GOVID_ALLOW_SIMULATORS=true",
        ),
        (
            {**HMRC, "GOVID_HMRC_BASE_URL": "http://127.0.0.1:9000"},
            "GOVID_HMRC_BASE_URL is not an https address",
        ),
    ],
)
def test_production_refuses_what_is_no_hmrc_unless_it_is_a_rehearsal(
    values: dict[str, Any], fault: str
) -> None:
    assert fault in blocking_problems(settings(**values))
    assert fault not in blocking_problems(settings(GOVID_ALLOW_SIMULATORS=True, **values))


@pytest.mark.parametrize(
    ("values", "may_be"),
    [({}, False), ({"GOVID_ALLOW_SIMULATORS": True}, True), ({"demonstration": True}, True)],
)
def test_an_hmrc_that_confesses_to_be_simulated_is_refused_in_production(
    values: dict[str, Any], may_be: bool
) -> None:
    assert settings(**values).hmrc.may_be_simulated is may_be


PAGE = "https://service.example/tax"
OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"


@pytest.mark.parametrize(("demonstration", "kind"), [(True, "simulator"), (False, "off")])
def test_without_credentials_tax_records_are_simulated_in_a_demonstration_only(
    demonstration: bool, kind: str
) -> None:
    assert settings(demonstration=demonstration).hmrc.tax_records == kind


def test_a_simulated_page_of_consent_is_where_govid_is() -> None:
    chosen = settings(demonstration=True, GOVID_PUBLIC_URL="http://localhost:8001").hmrc
    assert chosen.consent_url == "http://localhost:8001/dev/hmrc"
    assert chosen.redirect_uri == OUT_OF_BAND


def test_a_simulated_hmrc_can_send_browsers_back() -> None:
    chosen = settings(demonstration=True, GOVID_HMRC_REDIRECT_URI="http://localhost:3000/x").hmrc
    assert (chosen.tax_records, chosen.redirect_uri) == ("simulator", "http://localhost:3000/x")


@pytest.mark.parametrize("demonstration", [True, False])
def test_who_has_registered_no_page_at_hmrc_verifies_numbers_only(demonstration: bool) -> None:
    chosen = settings(demonstration=demonstration, **HMRC).hmrc
    assert (chosen.registry, chosen.tax_records) == ("remote", "off")


def test_with_a_page_too_hmrc_is_asked_for_tax_records() -> None:
    chosen = settings(**HMRC, GOVID_HMRC_REDIRECT_URI=PAGE).hmrc
    assert (chosen.tax_records, chosen.redirect_uri) == ("remote", PAGE)
    assert chosen.consent_url == "https://test-www.tax.service.gov.uk"


@pytest.mark.parametrize(
    ("values", "url"),
    [
        (
            {"GOVID_HMRC_BASE_URL": "https://api.service.hmrc.gov.uk"},
            "https://www.tax.service.gov.uk",
        ),
        ({"GOVID_HMRC_BASE_URL": "http://127.0.0.1:9000"}, "http://127.0.0.1:9000"),
        ({"GOVID_HMRC_CONSENT_URL": "https://consent.example"}, "https://consent.example"),
    ],
)
def test_where_citizens_consent_follows_from_where_the_apis_are(
    values: dict[str, str], url: str
) -> None:
    chosen = settings(**{**HMRC, "GOVID_HMRC_REDIRECT_URI": PAGE, **values}).hmrc
    assert chosen.consent_url == url


def test_who_wants_tax_records_themselves_learns_what_is_missing() -> None:
    assert refused(**HMRC, GOVID_TAX_RECORDS="remote") == [
        "GOVID_TAX_RECORDS is remote, and these are not set: GOVID_HMRC_REDIRECT_URI"
    ]


@pytest.mark.parametrize("port", ["simulator", "off"])
def test_a_word_about_tax_records_is_not_overruled(port: str) -> None:
    chosen = settings(**HMRC, GOVID_HMRC_REDIRECT_URI=PAGE, GOVID_TAX_RECORDS=port).hmrc
    assert (chosen.registry, chosen.tax_records) == ("remote", port)


@pytest.mark.parametrize("uri", [PAGE, "http://localhost:3000/back?from=hmrc", OUT_OF_BAND])
def test_a_page_to_come_back_to_is_one_that_hmrc_registers(uri: str) -> None:
    assert settings(**HMRC, GOVID_HMRC_REDIRECT_URI=uri).hmrc.redirect_uri == uri


@pytest.mark.parametrize("uri", ["http://service.example", f"{PAGE}#x", "service.example", "oob"])
def test_a_page_that_hmrc_would_not_register_is_refused(uri: str) -> None:
    (fault,) = refused(**HMRC, GOVID_HMRC_REDIRECT_URI=uri)
    assert fault.startswith("GOVID_HMRC_REDIRECT_URI (command line): ")


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"GOVID_PSEUDONYM_KEY": "p" * 32}, b"p" * 32),
        ({"GOVID_PSEUDONYM_KEY": "p" * 32, "GOVID_KEY_ENCRYPTION_KEY": "k" * 32}, b"k" * 32),
        ({}, b""),
    ],
)
def test_consents_are_kept_under_the_key_that_keeps_other_secrets(
    values: dict[str, str], key: bytes
) -> None:
    assert settings(**values).hmrc.encryption_key == key


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("GOVID_HMRC_BASE_URL", "http://127.0.0.1:9000"),
        ("GOVID_HMRC_CONSENT_URL", "http://x.example"),
        ("GOVID_HMRC_REDIRECT_URI", "http://localhost:3000/back"),
        ("GOVID_HMRC_REDIRECT_URI", OUT_OF_BAND),
    ],
)
@pytest.mark.parametrize("verifier", ["remote", "off"])
def test_production_wants_encryption_wherever_a_consent_travels(
    verifier: str, name: str, address: str
) -> None:
    page = {"GOVID_HMRC_REDIRECT_URI": PAGE, "GOVID_HMRC_CONSENT_URL": "https://x.example"}
    values = {**HMRC, **page, "GOVID_NINO_VERIFIER": verifier, name: address}
    fault = f"{name} is not an https address"
    assert [one for one in blocking_problems(settings(**values)) if "HMRC" in one] == [fault]
    assert fault not in blocking_problems(settings(GOVID_ALLOW_SIMULATORS=True, **values))
