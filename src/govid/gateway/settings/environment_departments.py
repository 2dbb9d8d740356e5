"""Environment variables of nhs and hmrc, and of both departments."""

from pydantic import BaseModel, SecretStr

from govid.gateway.settings.fields import DepartmentMode, PracticeList, PublicAddress, setting_field
from govid.hmrc import IdentityAssurance, MatchingContract


class DepartmentVariables(BaseModel):
    """Variables of both departments."""

    allow_simulators: bool = setting_field(
        False, "GOVID_ALLOW_SIMULATORS", doc="Allow `govid serve` to run with simulated departments"
    )
    department_limits: bool = setting_field(
        True,
        "GOVID_DEPARTMENT_LIMITS",
        doc="Keep the departments' rate limits; false only for demonstrations and benchmarks",
    )


class NhsVariables(BaseModel):
    """Variables of the patient registry and of appointment booking."""

    patient_registry: DepartmentMode = setting_field(
        "auto",
        "GOVID_PATIENT_REGISTRY",
        doc="Verifier of NHS numbers: auto, remote, simulator or off; auto is remote if "
        "credentials are set, otherwise simulator in `govid dev` and off in `govid serve`",
    )
    nhs_base_url: PublicAddress = setting_field(
        None,
        "GOVID_NHS_BASE_URL",
        doc="Host of the NHS's APIs: https://api.service.nhs.uk",
        pattern=r"^https?://[^/?#]+$",
    )
    nhs_client_id: str | None = setting_field(
        None, "GOVID_NHS_CLIENT_ID", doc="API key of govid's application at the NHS"
    )
    nhs_kid: str | None = setting_field(
        None, "GOVID_NHS_KEY_ID", doc="Id (kid) of the public key that the NHS fetches from govid"
    )
    nhs_private_key: SecretStr | None = setting_field(
        None,
        "GOVID_NHS_PRIVATE_KEY",
        doc="Private key that belongs to GOVID_NHS_KEY_ID, RSA in PEM; preferably as a file",
    )
    appointment_provider: DepartmentMode = setting_field(
        "auto",
        "GOVID_APPOINTMENT_PROVIDER",
        doc="Appointment booking: auto, remote, simulator or off; auto follows the patient "
        "registry, but is off if that is remote and no practices are set",
    )
    nhs_ods_code: str | None = setting_field(
        None,
        "GOVID_NHS_ODS_CODE",
        doc="ODS code of the organisation for which govid books",
        pattern=r"^[A-Z0-9]{3,12}$",
    )
    nhs_endpoint: str | None = setting_field(
        None,
        "GOVID_NHS_ENDPOINT",
        doc="Number of that organisation in the Directory of Services, for answers of practices",
        pattern=r"^[0-9]{1,20}$",
    )
    nhs_practices: PracticeList = setting_field(
        (),
        "GOVID_NHS_PRACTICES",
        doc="Practices that take bookings: specialty=number in the Directory of Services@ODS code, "
        "as JSON list or with commas",
    )
    nhs_simulator_fault: str = setting_field(
        "",
        "GOVID_SIM_PATIENT_REGISTRY_FAULT",
        doc="Fault of the simulated NHS: 503, or 503:0.2 for every fifth call",
    )


class HmrcVariables(BaseModel):
    """Variables of the verifier of National Insurance numbers and of tax records."""

    nino_verifier: DepartmentMode = setting_field(
        "auto",
        "GOVID_NINO_VERIFIER",
        doc="Verifier of National Insurance numbers: auto, remote, simulator or off; auto is "
        "remote if credentials are set, else simulator in `govid dev` and off in `govid serve`",
    )
    hmrc_base_url: PublicAddress = setting_field(
        None,
        "GOVID_HMRC_BASE_URL",
        doc="Host of HMRC's APIs: https://api.service.hmrc.gov.uk",
        pattern=r"^https?://[^/?#]+$",
    )
    hmrc_client_id: str | None = setting_field(
        None, "GOVID_HMRC_CLIENT_ID", doc="Client id of govid's application at HMRC"
    )
    hmrc_client_secret: SecretStr | None = setting_field(
        None, "GOVID_HMRC_CLIENT_SECRET", doc="A client secret of that application"
    )
    hmrc_scope: str | None = setting_field(
        None,
        "GOVID_HMRC_SCOPE",
        doc="Scopes to request, separated by spaces; individuals-1 and individuals-2 need one",
    )
    hmrc_contract: MatchingContract = setting_field(
        "pdv",
        "GOVID_HMRC_CONTRACT",
        doc="Matching API: pdv, individuals-2 or individuals-1, as agreed with HMRC",
    )
    hmrc_pdv_path: str = setting_field(
        "/individuals/authentication/authenticator/api/match",
        "GOVID_HMRC_PDV_PATH",
        doc="Path of the pdv API; some environments serve it without /api",
        pattern=r"^/[^?#]+$",
    )
    tax_records: DepartmentMode = setting_field(
        "auto",
        "GOVID_TAX_RECORDS",
        doc="Tax records: auto, remote, simulator or off; auto is remote if HMRC's credentials and "
        "a redirect URI are set, without credentials simulator in `govid dev`, otherwise off",
    )
    hmrc_redirect_uri: PublicAddress = setting_field(
        None,
        "GOVID_HMRC_REDIRECT_URI",
        doc="Page of your service to which HMRC redirects citizens, as registered at HMRC",
        pattern=r"^(https://[^/?#]+[^#]*|http://localhost(:[0-9]+)?(/[^#]*)?"
        r"|urn:ietf:wg:oauth:2\.0:oob)$",
    )
    hmrc_consent_url: PublicAddress = setting_field(
        None,
        "GOVID_HMRC_CONSENT_URL",
        doc="Host of the consent page (default: the one that belongs to HMRC's APIs)",
        pattern=r"^https?://[^/?#]+$",
    )
    hmrc_required_assurance: IdentityAssurance = setting_field(
        "P1",
        "GOVID_TAX_MIN_LEVEL",
        doc="Identity level required for tax records: P1 (number confirmed) or P2",
    )
    hmrc_simulator_fault: str = setting_field(
        "",
        "GOVID_SIM_NINO_VERIFIER_FAULT",
        doc="Fault of the simulated HMRC: 503, or 503:0.2 for every fifth call",
    )
    hmrc_simulate_death: bool = setting_field(
        True,
        "GOVID_SIMULATE_DEATH_EVENT",
        "SIMULATE_DEATH_EVENT",
        doc="Whether HMRC's simulator sends a death notification after the start",
    )
    hmrc_simulate_death_delay_seconds: float = setting_field(
        30,
        "GOVID_SIMULATE_DEATH_DELAY_SECONDS",
        "SIMULATE_DEATH_DELAY_SECONDS",
        doc="Seconds between the start and the simulated death notification",
        ge=0,
    )
    hmrc_simulate_death_nino: str = setting_field(
        "AB123456C",
        "GOVID_SIMULATE_DEATH_NIN",
        "SIMULATE_DEATH_NIN",
        doc="National Insurance number of the simulated death notification",
    )
