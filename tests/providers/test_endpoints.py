from __future__ import annotations

import pytest

from providers.endpoints import allowed_endpoint
from providers.errors import EndpointRefused

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@pytest.mark.parametrize(
    ("url", "meaning"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://127.1:8080", "http://127.0.0.1:8080"),
        ("http://2130706433", "http://127.0.0.1"),
        ("http://0x7f.1", "http://127.0.0.1"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://[::ffff:127.0.0.1]", "http://127.0.0.1"),
        ("HTTP://LOCALHOST.:80", "http://localhost:80"),
        ("https://127.0.0.1", "https://127.0.0.1"),
    ],
)
def test_every_spelling_of_a_listed_host_is_allowed(url: str, meaning: str) -> None:
    assert allowed_endpoint(url, LOOPBACK) == meaning


def test_a_listed_name_is_allowed_over_https_at_any_port() -> None:
    endpoint = allowed_endpoint("https://Proxy.Example.com:8443", ["proxy.example.com"])

    assert endpoint == "https://proxy.example.com:8443"


def test_plain_http_goes_to_loopback_only() -> None:
    with pytest.raises(EndpointRefused, match="loopback only"):
        allowed_endpoint("http://proxy.example.com", ["proxy.example.com"])


@pytest.mark.parametrize(
    "url",
    [
        "https://api.binance.com@127.0.0.1/",
        "https://127.0.0.1:8080@evil.example/",
        "https://@127.0.0.1",
        "https://127.0.0.1/path",
        "https://127.0.0.1/?a=b",
        "https://127.0.0.1?",
        "https://127.0.0.1#a",
        "https://127.0.0.1:port",
        "https://127.0.0.1:99999",
        "https://[::1",
        "https://[::1%25eth0]",
        "https://",
        "127.0.0.1:8080",
        "//127.0.0.1",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "https://127.0.0.1 .evil.example",
        "https://127.0.0.1\\.evil.example",
        "https://\N{FULLWIDTH DIGIT ONE}27.0.0.1",
        "https://127.0.0.1.evil.example",
        "https://1.2.3.4.5",
        "https://169.254.169.254",
        "https://100.64.0.1",
        "https://[64:ff9b::7f00:1]",
        "https://[2002:7f00:1::]",
        "",
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    with pytest.raises(EndpointRefused, match="POSSYNC_ENDPOINT_ALLOWLIST"):
        allowed_endpoint(url, LOOPBACK)


def test_nothing_is_allowed_by_an_empty_list() -> None:
    with pytest.raises(EndpointRefused, match="not on the list"):
        allowed_endpoint("http://127.0.0.1", [])


def test_a_refusal_repeats_nothing_of_what_may_be_secret() -> None:
    with pytest.raises(EndpointRefused) as caught:
        allowed_endpoint("https://user:canary@127.0.0.1/canary?canary", LOOPBACK)

    assert "canary" not in str(caught.value)
