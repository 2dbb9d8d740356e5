"""Shows the e-mails of a demonstration at `/dev/inbox` instead of sending them.

Only under `govid dev`, and only if e-mail is written to a folder, because a link in an e-mail is
worth as much as a password. A page contains only text and loads nothing.
"""

import re
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html import escape
from pathlib import Path
from uuid import UUID

from litestar import MediaType, Response, Router, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

PUBLIC = "a demonstration's e-mail may be read by everyone who uses the demonstration"
NEWEST = 200
"""How many e-mails are listed."""

_LINK = re.compile(r"https?://[^\s<>\"']+")
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="robots" content="noindex">
<title>{title}</title>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def build_mailbox_router(folder: Path) -> Router:
    """Return the pages that show the e-mails in *folder*."""
    return Router(
        "/dev/inbox",
        route_handlers=[_build_list_route(folder), _build_message_route(folder)],
        opt={"public": PUBLIC},
        include_in_schema=False,
    )


def _build_list_route(folder: Path) -> HTTPRouteHandler:
    @get("/", media_type=MediaType.HTML, sync_to_thread=True)
    def listing() -> Response[str]:
        # File names are ids that begin with a time, so the newest sorts last.
        files = sorted(folder.glob("*.eml"), reverse=True)[:NEWEST]
        rows = "\n".join(_render_row(file) for file in files)
        return _render_page("Mail", f"<ul>\n{rows}\n</ul>" if rows else "<p>There is none yet.</p>")

    return listing


def _build_message_route(folder: Path) -> HTTPRouteHandler:
    # The name is part of the route label of metrics, which does not change.
    @get("/{letter_id:uuid}", media_type=MediaType.HTML, sync_to_thread=True)
    def reading(letter_id: FromPath[UUID]) -> Response[str]:
        try:
            mail = _read_message(folder / f"{letter_id}.eml")
        except FileNotFoundError:
            raise NotFoundException from None
        facts = "\n".join(
            f"<dt>{name}</dt><dd>{escape(str(mail[name]))}</dd>"
            for name in ("From", "To", "Date", "Subject")
        )
        text = _link_urls(str(mail.get_content()))
        return _render_page(
            str(mail["Subject"]),
            f'<dl>\n{facts}\n</dl>\n<pre>{text}</pre>\n<p><a href="/dev/inbox">All mail</a></p>',
        )

    return reading


def _render_row(file: Path) -> str:
    mail = _read_message(file)
    moment = datetime.fromtimestamp(file.stat().st_mtime).astimezone()
    return (
        f'<li>{moment:%H:%M:%S} <a href="/dev/inbox/{escape(file.stem)}">'
        f"{escape(str(mail['Subject']))}</a> to {escape(str(mail['To']))}</li>"
    )


def _read_message(file: Path) -> EmailMessage:
    return message_from_bytes(file.read_bytes(), policy=default)


def _link_urls(text: str) -> str:
    """Return *text* escaped for HTML, with its URLs as links."""
    pieces = []
    end = 0
    for found in _LINK.finditer(text):
        address = escape(found[0])
        pieces += [
            escape(text[end : found.start()]),
            f'<a href="{address}" rel="noreferrer">{address}</a>',
        ]
        end = found.end()
    return "".join((*pieces, escape(text[end:])))


def _render_page(title: str, body: str) -> Response[str]:
    return Response(_PAGE.format(title=escape(title), body=body), media_type=MediaType.HTML)
