"""The routes of the HMRC module."""

from govid.hmrc.controllers.routes import router, simulated_pages

__all__ = ["router", "simulated_pages"]
