"""Failures of TLS are explained in words, with a remedy."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from govid.bus.shared.tls_failures import describe_refused_certificate, is_key_of_another_pair
from tests.backends.certificates import CertificateFiles, CertificateFolder


def refusal(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    error.verify_message = "unable to get certificate CRL"
    return error


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (3, "its certificate is not accepted: unable to get certificate CRL"),
        (9, "its certificate is not valid yet; compare the clocks of both machines"),
        (10, "its certificate has expired; renew it on the server"),
        (18, "its certificate is not trusted; X has to contain the authority that issued it"),
        (20, "its certificate is not trusted; X has to contain the authority that issued it"),
        (23, "its certificate was revoked; issue a new one for the server"),
        (62, "its certificate is for another name; connect by a name that it contains"),
        (64, "its certificate is for another name; connect by a name that it contains"),
    ],
)
def test_each_reason_has_a_remedy(code: int, reason: str) -> None:
    assert describe_refused_certificate(refusal(code), "X") == reason


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    return CertificateFolder(tmp_path).issue("govid")


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65_537, 2048),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
    ],
    ids=["rsa", "p-256", "p-384"],
)
def test_a_key_of_another_pair_is_recognised_whatever_its_algorithm(
    files: CertificateFiles, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
) -> None:
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(ssl.SSLError) as error:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(files.certificate, files.key)
    assert is_key_of_another_pair(error.value)
