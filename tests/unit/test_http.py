"""The HTTP client against a real socket: whatever the server does, the answer is whole, or it is none."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from policy_audit.module_utils import http
from policy_audit.module_utils.http import HttpClient
from policy_audit.module_utils.unanswerable import Unanswerable


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        getattr(self, self.path.strip("/"))()

    def log_message(self, *_args):
        pass

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def good(self):
        self.answer(200, b'{"token": "%s"}' % self.headers.get("Authorization", "").encode())

    def html(self):
        self.answer(200, b"<html>captive portal</html>")

    def broken(self):
        self.answer(500, b"boom")

    def moved(self):
        self.answer(302, b"", Location="/good")

    def huge(self):
        self.answer(200, b"x" * 5000)

    def hung(self):
        time.sleep(1)

    def short(self):
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"{}")

    def drip(self):
        self.send_response(200)
        self.end_headers()
        for _ in range(40):
            self.wfile.write(b"x" * 65_536)
            self.wfile.flush()
            time.sleep(0.1)


@pytest.fixture(scope="module")
def url():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def client(url):
    with HttpClient("demo service", url, token="t0ken", timeout_s=0.3) as client:
        yield client


def test_a_good_answer_and_the_token(client):
    assert client.get_json("/good") == {"token": "Bearer t0ken"}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/html", "JSON from demo service"),
        ("/broken", "HTTP 500 instead of 200: boom"),
        ("/moved", "HTTP 302 instead of 200"),
        ("/hung", "did not answer within 0.3 s"),
        ("/short", "does not answer"),
        ("/drip", "not complete after 1.2 s"),
    ],
)
def test_anything_else_is_unanswerable_and_names_the_system(client, url, path, said):
    with pytest.raises(Unanswerable) as raised:
        client.get_json(path)
    assert said in raised.value.prerequisite
    assert f"demo service at {url}" in raised.value.prerequisite
    assert "t0ken" not in raised.value.prerequisite


def test_size_is_bounded(client, monkeypatch):
    monkeypatch.setattr(http, "MAX_BODY", 1000)
    with pytest.raises(Unanswerable, match="bounded size"):
        client.request("GET", "/huge")


def test_a_closed_port_is_named(url):
    with HttpClient("demo service", "http://127.0.0.1:1") as client, pytest.raises(Unanswerable) as raised:
        client.get_json("/")
    assert raised.value.prerequisite == "demo service at http://127.0.0.1:1 does not answer: Connection refused"


def test_the_environment_does_not_choose_proxy_or_trust(client, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    assert client.request("GET", "/good").status == 200
