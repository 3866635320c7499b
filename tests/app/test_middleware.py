import asyncio

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from repvit_sam.app.middleware import SecurityMiddleware


async def length(request):
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture(scope="module")
def client():
    app = Starlette(routes=[Route("/length", length, methods=["POST"]), Route("/files/a", length)])
    return TestClient(SecurityMiddleware(app, max_body=1000, max_form=5000, no_cache_path="/files"))


def test_a_body_within_the_limit_passes(client):
    assert client.post("/length", content=b"x" * 1000).text == "1000"


def test_a_larger_body_is_refused_by_its_announced_length(client):
    assert client.post("/length", content=b"x" * 1001).status_code == 413


def test_a_body_in_pieces_is_refused_once_it_has_grown_too_large(client):
    assert client.post("/length", content=(b"x" * 300 for _ in range(4))).status_code == 413


def test_a_form_may_be_larger_because_a_photo_is_inside(client):
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/length", content=b"x" * 5000, headers=form).text == "5000"
    assert client.post("/length", content=b"x" * 5001, headers=form).status_code == 413


def test_headers_are_set_and_the_pages_own_files_are_not_cached(client):
    answer = client.get("/files/a")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "object-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-cache"
    assert "cache-control" not in client.post("/length", content=b"").headers


def test_what_is_no_http_passes_untouched():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(SecurityMiddleware(app)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
