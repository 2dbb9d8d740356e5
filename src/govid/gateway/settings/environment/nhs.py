"""How the NHS is reached."""

from pydantic import BaseModel, SecretStr

from govid.gateway.settings.environment.naming import Port, named


class Nhs(BaseModel):
    """Settings of the patient registry."""

    patient_registry: Port = named(
        "auto",
        "GOVID_PATIENT_REGISTRY",
        doc="auto, remote, simulator or off; auto is remote with the NHS's credentials, "
        "without them a simulator in `govid dev` and off in `govid serve`",
    )
    nhs_base_url: str | None = named(
        None,
        "GOVID_NHS_BASE_URL",
        doc="Host of the NHS's interfaces: https://api.service.nhs.uk",
        pattern=r"^https?://[^/?#]+$",
    )
    nhs_client_id: str | None = named(
        None, "GOVID_NHS_CLIENT_ID", doc="Key of govid's application at the NHS"
    )
    nhs_key_id: str | None = named(
        None, "GOVID_NHS_KEY_ID", doc="Id (kid) of the public key that the NHS fetches from us"
    )
    nhs_private_key: SecretStr | None = named(
        None,
        "GOVID_NHS_PRIVATE_KEY",
        doc="The private key to it, RSA in PEM; better as a file",
    )
    sim_patient_registry_fault: str = named(
        "",
        "GOVID_SIM_PATIENT_REGISTRY_FAULT",
        doc="What goes wrong at the simulated NHS: 503, or 503:0.2 for every fifth call",
    )
