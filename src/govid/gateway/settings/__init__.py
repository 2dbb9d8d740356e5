"""Loads all settings into one frozen struct, `Settings`, and again while a server runs.

No other package uses pydantic-settings, and nothing is read at import time. Whether settings are
safe in production is decided in `gateway/checks`.
"""

from govid.gateway.settings.kafka import REREAD_FILES
from govid.gateway.settings.loading import SettingsError, load_from_environment, render_example
from govid.gateway.settings.model import Settings, ShownSetting
from govid.gateway.settings.reloading import SettingsReloader

__all__ = [
    "REREAD_FILES",
    "Settings",
    "SettingsError",
    "SettingsReloader",
    "ShownSetting",
    "load_from_environment",
    "render_example",
]
