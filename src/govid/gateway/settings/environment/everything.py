"""`Environment`: all environment variables of govid."""

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from govid.gateway.settings.environment.accounts import Accounts
from govid.gateway.settings.environment.departments import Departments
from govid.gateway.settings.environment.events import Events
from govid.gateway.settings.environment.hmrc import Hmrc
from govid.gateway.settings.environment.mail import Mail
from govid.gateway.settings.environment.nhs import Nhs
from govid.gateway.settings.environment.passwords import Passwords
from govid.gateway.settings.environment.quotas import Quotas
from govid.gateway.settings.environment.serving import Serving
from govid.gateway.settings.environment.storage import Storage
from govid.gateway.settings.environment.throttling import Throttling
from govid.gateway.settings.environment.tokens import Tokens


# Fields of the last base come first, so the variables that an operator needs first are last here.
class Environment(
    Hmrc,
    Nhs,
    Departments,
    Accounts,
    Quotas,
    Mail,
    Throttling,
    Passwords,
    Tokens,
    Events,
    Storage,
    Serving,
    BaseSettings,
):
    """All environment variables of govid: names, types, limits and defaults."""

    model_config = SettingsConfigDict(
        extra="ignore", case_sensitive=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(  # the signature is the library's
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Disable the library's sources: `load` merges the sources, and records them."""
        return (init_settings,)
