"""Routes of the HMRC module: filed tax records, consent, and tax records at HMRC."""

from govid.hmrc.controllers.routes import router, simulated_pages

__all__ = ["router", "simulated_pages"]
