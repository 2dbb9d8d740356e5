"""`Environment`: all environment variables of govid."""

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from govid.gateway.settings.environment.accounts import AccountVariables
from govid.gateway.settings.environment.departments import DepartmentVariables
from govid.gateway.settings.environment.events import EventVariables
from govid.gateway.settings.environment.hmrc import HmrcVariables
from govid.gateway.settings.environment.mail import MailVariables
from govid.gateway.settings.environment.nhs import NhsVariables
from govid.gateway.settings.environment.passwords import PasswordVariables
from govid.gateway.settings.environment.quotas import QuotaVariables
from govid.gateway.settings.environment.serving import ServerVariables
from govid.gateway.settings.environment.storage import DatabaseVariables
from govid.gateway.settings.environment.throttling import RateLimitVariables
from govid.gateway.settings.environment.tokens import TokenVariables


# Fields of the last base come first, so the variables that an operator needs first are last here.
class Environment(
    HmrcVariables,
    NhsVariables,
    DepartmentVariables,
    AccountVariables,
    QuotaVariables,
    MailVariables,
    RateLimitVariables,
    PasswordVariables,
    TokenVariables,
    EventVariables,
    DatabaseVariables,
    ServerVariables,
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
