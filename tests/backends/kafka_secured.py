"""An Apache Kafka that demands TLS, credentials and ACLs, as operators run it."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from govid.bus.settings import KafkaSecurity
from govid.bus.shared.secret_source import SecretSource
from tests.backends.certificates import CertificateFolder
from tests.backends.kafka import wait_until_ready
from tests.backends.kafka_jars import JarBroker
from tests.backends.ports import free_port

USER = "govid"
PASSWORD = "p@ss/w%rd with space"
AUDIENCE = "kafka"
ALLOWED_URLS = "org.apache.kafka.sasl.oauthbearer.allowed.urls"

# Clients of the listeners without TLS, which are for the test only, are ANONYMOUS.
PROPERTIES = """\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found={open_to_all}
inter.broker.listener.name=PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location={server}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms={mechanisms}
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
  org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.plain.sasl.jaas.config=\
  org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
listener.name.sasl_ssl.oauthbearer.sasl.jaas.config=\
  org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
listener.name.sasl_ssl.oauthbearer.sasl.server.callback.handler.class=\
  org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler
sasl.oauthbearer.expected.audience={audience}
sasl.oauthbearer.jwks.endpoint.url={jwks}
"""


class SecuredBroker:
    """A broker with one listener for SASL and one for client certificates.

    `address` needs SASL_SSL, `mutual_address` a client certificate, and `admin_address` nothing:
    there every client is a super user.
    """

    def __init__(
        self,
        folder: Path,
        *,
        mechanisms: str = "SCRAM-SHA-512,PLAIN",
        open_to_all: bool = True,
        jwks_url: str = "",
        proxy: int | None = None,
        plaintext_proxy: int | None = None,
        java_options: Sequence[str] = (),
    ) -> None:
        """Make certificates in *folder* and describe the broker; without *open_to_all* by ACLs.

        *proxy* is the port of a proxy that the caller puts before `address`, and *plaintext_proxy*
        that of one before `broker.behind`. *java_options* replace those of other brokers.
        """
        self.certificates = CertificateFolder(folder)
        self.client = self.certificates.issue(USER)
        admin, sasl, mutual = free_port(), free_port(), free_port()
        properties = PROPERTIES.format(
            open_to_all=str(open_to_all).lower(),
            server=self.certificates.issue("kafka").both,
            authority=self.certificates.authority,
            mechanisms=mechanisms,
            user=USER,
            password=PASSWORD,
            audience=AUDIENCE,
            jwks=jwks_url,
        )
        self.address = f"127.0.0.1:{sasl}"
        self.mutual_address = f"127.0.0.1:{mutual}"
        self.broker = JarBroker(
            admin,
            plaintext_proxy,
            listeners={
                "PLAINTEXT": (admin, admin),
                "SASL_SSL": (sasl, proxy or sasl),
                "SSL": (mutual, mutual),
            },
            properties=properties,
            java_options=[*java_options, *([f"-D{ALLOWED_URLS}={jwks_url}"] if jwks_url else [])],
        )
        self.admin_address = self.broker.address

    def start(self) -> None:
        """Start it, wait until it answers, and make the SCRAM user."""
        self.broker.start()
        wait_until_ready(self.admin_address)
        self.set_password(PASSWORD)

    def set_password(self, password: str, user: str = USER) -> None:
        """Set the SCRAM password of *user*."""
        credential = UserScramCredentialUpsertion(
            user, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), password.encode()
        )
        admin = self.admin()  # Kept: a client that is collected drops its requests.
        for future in admin.alter_user_scram_credentials([credential]).values():
            future.result(timeout=10)

    def admin(self) -> AdminClient:
        """Return a client of a super user."""
        silent = logging.getLogger("govid.tests.librdkafka")
        silent.disabled = True
        return AdminClient({"bootstrap.servers": self.admin_address}, logger=silent)

    def security(self, **changes: Any) -> KafkaSecurity:
        """Return the settings with which govid connects to `address`."""
        values = {
            "protocol": "SASL_SSL",
            "ca_file": self.certificates.authority,
            "sasl_username": USER,
            "sasl_password": SecretSource(value=PASSWORD),
        }
        return KafkaSecurity(**{**values, **changes})

    def mutual_security(self, **changes: Any) -> KafkaSecurity:
        """Return the settings with which govid connects to `mutual_address`."""
        values = {
            "protocol": "SSL",
            "ca_file": self.certificates.authority,
            "certificate_file": self.client.certificate,
            "key_file": self.client.key,
        }
        return KafkaSecurity(**{**values, **changes})

    def grant(self, *acls: AclBinding) -> None:
        """Add *acls*."""
        admin = self.admin()
        for future in admin.create_acls(list(acls)).values():
            future.result(timeout=10)

    def revoke(self, acl: AclBinding) -> None:
        """Remove *acl*, which has to exist."""
        found = AclBindingFilter(
            acl.restype, acl.name, acl.resource_pattern_type, acl.principal, acl.host,
            acl.operation, acl.permission_type,
        )  # fmt: skip
        admin = self.admin()
        for future in admin.delete_acls([found]).values():
            assert len(future.result(timeout=10)) == 1

    def remove(self) -> None:
        """End it and delete its data."""
        self.broker.remove()


def acl_entry(kind: ResourceType, name: str, operation: str) -> AclBinding:
    """Return the ACL that allows govid *operation* (`DESCRIBE_CONFIGS`) on a topic or group."""
    return AclBinding(
        kind, name, ResourcePatternType.LITERAL, f"User:{USER}", "*",
        AclOperation[operation], AclPermissionType.ALLOW,
    )  # fmt: skip


@contextlib.contextmanager
def secured(folder: Path, **options: Any) -> Iterator[SecuredBroker]:
    """Yield a started broker with its certificates in *folder*."""
    broker = SecuredBroker(folder, **options)
    try:
        broker.start()
        yield broker
    finally:
        broker.remove()
