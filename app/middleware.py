"""Security headers on every response, and a limit on what a visitor may send: ASGI middleware around Gradio."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .limits import MAX_UPLOAD

MAX_FORM = MAX_UPLOAD + 16 * 2**20  # bytes; the largest upload with its form
MAX_BODY = 16 * 2**20  # bytes of anything else: while JSON is parsed, nobody is served

# Gradio's page needs inline scripts and eval. Nothing needs another host. Frames are allowed: Spaces need them.
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


class SecurityMiddleware:
    """Refuses bodies that are too large before they fill the memory, and adds the headers.

    Args:
        max_body: bytes of a request that is not a form.
        max_form: bytes of a form, which may hold a photo.
        no_cache_path: below it, browsers ask each time whether a file has changed.
    """

    def __init__(
        self, app: ASGIApp, max_body: int = MAX_BODY, max_form: int = MAX_FORM, no_cache_path: str = ""
    ) -> None:
        self._app, self._max_body, self._max_form, self._no_cache_path = app, max_body, max_form, no_cache_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        is_form = headers.get(b"content-type", b"").startswith(b"multipart/form-data")
        max_bytes = self._max_form if is_form else self._max_body
        if int(headers.get(b"content-length", b"0") or 0) > max_bytes:
            await _refuse(send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > max_bytes:
                raise HTTPException(413)  # Starlette, which is reading the body, responds with it
            return message

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self._no_cache_path and scope["path"].startswith(self._no_cache_path):
                    headers["cache-control"] = "no-cache"
            await send(message)

        await self._app(scope, receive_counted, send_with_headers)


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": b"too large"})
