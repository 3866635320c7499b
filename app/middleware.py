"""What every answer says to browsers, and how much a visitor may send: ASGI middleware around Gradio."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_FORM = 80 * 2**20  # bytes: the largest upload and what is around it
MAX_BODY = 16 * 2**20  # of anything else: JSON is parsed while everybody waits

# Gradio's page needs inline scripts and eval; nothing needs another host. It may be framed: Spaces do so.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob: data:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """Refuses bodies that are too large before they fill the memory, and adds the headers."""

    def __init__(
        self, app: ASGIApp, max_body: int = MAX_BODY, max_form: int = MAX_FORM, always_fresh: str = ""
    ) -> None:
        """``always_fresh``: the path below which browsers ask again whether a file has changed."""
        self._app, self._max_body, self._max_form, self._always_fresh = app, max_body, max_form, always_fresh

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        is_form = headers.get(b"content-type", b"").startswith(b"multipart/form-data")
        most = self._max_form if is_form else self._max_body
        if int(headers.get(b"content-length", b"0") or 0) > most:
            await _refuse(send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise HTTPException(413)  # from within the request: Starlette answers
            return message

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self._always_fresh and scope["path"].startswith(self._always_fresh):
                    headers["cache-control"] = "no-cache"
            await send(message)

        await self._app(scope, counted, with_headers)


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": b"too large"})
