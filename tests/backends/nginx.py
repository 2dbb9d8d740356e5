"""Debian's nginx with the example of `deploy/nginx.conf`; only ports and paths are replaced."""

import os
import re
import shutil
import signal
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.backends.certificates import CertificateFolder
from tests.backends.ports import free_port
from tests.backends.processes import Server

EXAMPLE = Path(__file__).parents[2] / "deploy" / "nginx.conf"
HOST = "id.example"
_MAIN = """
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 768; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    # As in Debian's nginx.conf, for the site to override.
    ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers on;
    gzip on;
    server {{
        listen 127.0.0.1:{ready};
        return 200;
    }}
    include {folder}/site;
}}
"""


def find_program() -> str:
    """Return the path of nginx; skip the test where it is missing, or fail in CI."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None and os.environ.get("GOVID_CI") == "1":
        pytest.fail("needed here: nginx")
    if found is None:
        pytest.skip("needs nginx")
    return found


class NginxProxy(Server):
    """nginx on ports of its own before some processes of govid.

    The listeners for IPv6 are at 127.0.0.2, because not every machine has IPv6.
    """

    def __init__(self, folder: Path, upstreams: Sequence[str]) -> None:
        """Pass requests to the two URLs *upstreams*. *folder* gets the logs and certificates."""
        folder.mkdir()
        self.folder = folder
        self.port, self.plain_port = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        ready = free_port()
        self._certificates = CertificateFolder(folder)
        files = self._certificates.issue("site", HOST)
        self.authority = self._certificates.authority
        replaced = {
            "listen 80 ": f"listen 127.0.0.1:{self.plain_port} ",
            "listen [::]:80 ": f"listen 127.0.0.2:{self.plain_port} ",
            "listen 443 ": f"listen 127.0.0.1:{self.port} ",
            "listen [::]:443 ": f"listen 127.0.0.2:{self.port} ",
            "/var/log/nginx/": f"{folder}/",
            "/etc/govid/tls/id.example.crt": str(files.certificate),
            "/etc/govid/tls/id.example.key": str(files.key),
            "server 127.0.0.1:8000 ": f"server {urlsplit(upstreams[0]).netloc} ",
            "server 127.0.0.1:8001 ": f"server {urlsplit(upstreams[1]).netloc} ",
        }
        (folder / "site").write_text(_replace_all(EXAMPLE.read_text(), replaced))
        (folder / "main").write_text(_MAIN.format(folder=folder, ready=ready))
        super().__init__(
            [find_program(), "-p", str(folder), "-c", str(folder / "main")],
            log=folder / "output.log",
            environment={},
            ready=f"http://127.0.0.1:{ready}",
            folder=folder,
        )

    def replace_certificate(self) -> None:
        """Issue another certificate, and let nginx read it."""
        self._certificates.issue("site", HOST)
        self.signal(signal.SIGHUP)

    def connect(self, source: str = "127.0.0.1", host: str = HOST) -> httpx.AsyncClient:
        """Return a client with the address *source* whose requests are for *host*."""
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Host": host},
            transport=_NamedTransport(
                verify=ssl.create_default_context(cafile=self.authority), local_address=source
            ),
            timeout=60,
        )


class _NamedTransport(httpx.AsyncHTTPTransport):
    """Names `HOST` in each TLS handshake, and verifies the certificate for it."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["sni_hostname"] = HOST
        return await super().handle_async_request(request)


def _replace_all(text: str, replaced: Mapping[str, str]) -> str:
    """Replace all keys of *replaced* at once; each of them must occur."""
    assert all(old in text for old in replaced)
    pattern = "|".join(re.escape(old) for old in replaced)
    return re.sub(pattern, lambda found: replaced[found[0]], text)
