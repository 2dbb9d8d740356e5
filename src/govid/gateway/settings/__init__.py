"""What govid was told: from the environment to one frozen struct.

No other room of the house knows pydantic-settings, and nothing is read at import time.
"""

from govid.gateway.settings.loading import SettingsError, example, load
from govid.gateway.settings.model import Settings, Shown

__all__ = ["Settings", "SettingsError", "Shown", "example", "load"]
