"""The routes of the NHS module."""

from govid.nhs.controllers.routes import router

__all__ = ["router"]
