"""Every setting: its names, type, default and meaning, one file for each subject."""

from govid.gateway.settings.environment.everything import Environment
from govid.gateway.settings.environment.naming import Port

__all__ = ["Environment", "Port"]
