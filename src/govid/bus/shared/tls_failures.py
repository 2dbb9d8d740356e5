"""Explains failures of TLS that PostgreSQL and Kafka have in common, in words for an operator.

Source: OpenSSL, openssl-verification-options(1); the codes are those of `X509_V_ERR`.
"""

import ssl
from collections.abc import Mapping

_REASONS: Mapping[int, str] = {
    9: "its certificate is not valid yet; compare the clocks of both machines",
    10: "its certificate has expired; renew it on the server",
    23: "its certificate was revoked; issue a new one for the server",
    62: "its certificate is for another name; connect by a name that it contains",
    64: "its certificate is for another name; connect by a name that it contains",
}
_UNKNOWN_AUTHORITY = frozenset({2, 7, 18, 19, 20, 21})
_OTHER_PAIR = frozenset({"KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})
"""The second is reported for keys of different algorithms."""


def describe_refused_certificate(error: ssl.SSLCertVerificationError, authorities: str) -> str:
    """Return why the certificate of a server is refused, and what to do.

    *authorities* is the setting that names the trusted authorities.
    """
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return (
            f"its certificate is not trusted; {authorities} has to contain the authority that "
            "issued it"
        )
    known = _REASONS.get(error.verify_code)
    return known or f"its certificate is not accepted: {error.verify_message}"


def is_key_of_another_pair(error: ssl.SSLError) -> bool:
    """Tell whether *error*, raised while loading a pair, means that the key does not fit."""
    return error.reason in _OTHER_PAIR
