"""Which departments are asked, and as whom, from what the environment says about them."""

from collections.abc import Mapping
from typing import Literal

from govid.gateway.settings.environment import Environment, RemotePort
from govid.nhs import NhsSettings

Choice = Literal["remote", "simulator", "off"]


def nhs_of(environment: Environment, *, demonstration: bool) -> NhsSettings:
    """Say how the NHS is reached.

    Raises:
        ValueError: some of its credentials are set, and others are missing.
    """
    secret = environment.nhs_private_key
    key = secret.get_secret_value() if secret is not None else ""
    credentials = {
        "GOVID_NHS_BASE_URL": environment.nhs_base_url or "",
        "GOVID_NHS_CLIENT_ID": environment.nhs_client_id or "",
        "GOVID_NHS_KEY_ID": environment.nhs_key_id or "",
        "GOVID_NHS_PRIVATE_KEY": key,
    }
    registry = _chosen(
        "GOVID_PATIENT_REGISTRY",
        environment.patient_registry,
        credentials,
        demonstration=demonstration,
    )
    return NhsSettings(
        registry=registry,
        accept_prototype_form=registry == "simulator",
        base_url=credentials["GOVID_NHS_BASE_URL"],
        client_id=credentials["GOVID_NHS_CLIENT_ID"],
        kid=credentials["GOVID_NHS_KEY_ID"],
        private_key=key.encode(),
        are_limits_lifted=not environment.department_limits,
        may_be_simulated=demonstration or environment.allow_simulators,
        simulator_fault=environment.sim_patient_registry_fault,
    )


def _chosen(
    name: str, port: RemotePort, credentials: Mapping[str, str], *, demonstration: bool
) -> Choice:
    """Say what stands at the port *name*.

    `auto` is the department itself where all credentials are set; where none is, a simulator under
    `govid dev`, and nobody in production.
    """
    missing = [one for one, value in credentials.items() if not value]
    if port in {"simulator", "off"}:
        return port
    if not missing:
        return "remote"
    if port == "auto" and len(missing) == len(credentials):
        return "simulator" if demonstration else "off"
    raise ValueError(f"{name} is {port}, and these are not set: {', '.join(missing)}")
