"""Connections of `govid check`, whose role may be a superuser."""

from govid.bus.storage.connection import TRUSTED_SEARCH_PATH, ConnectionFactory


def build_check_factory(database_url: str) -> ConnectionFactory:
    """Return the factory of the connections to *database_url*.

    Raises:
        InvalidConnectionUrl: the URL cannot be used.
    """
    return ConnectionFactory(database_url, application="govid check", settings=TRUSTED_SEARCH_PATH)
