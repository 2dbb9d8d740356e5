"""HMRC's own systems, as govid asks them; an implementation is named by its backend."""
