from __future__ import annotations

import base64
import html
import json
import logging
import threading
from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.credentials import Credentials
from providers.errors import CredentialsRejected, ExchangeUnavailable, RateLimited
from providers.redaction import (
    MAX_MESSAGE,
    MAX_TRACE,
    RedactingFilter,
    fingerprint,
    leg_error,
    one_line,
    redacted_trace,
    scrub,
    scrub_event,
    secrets_in_use,
)

CANARY = "CAN+ARY/=&<\"'\\ é\N{OLD KEY}Zq7"
PEM = "\n".join(
    (
        "-----BEGIN EC PRIVATE KEY-----",
        "MHcCAQEEIBkg4LVWM9nuwNSk3yByxZpYRTBnVJk5oErxSwmTkBJ3oAoGCCqGSM49",
        "AwEHoUQDQgAEq3gEDGvDRnVJk5oErxSwmTkBJ3oAoGCCqGSM49AwEHoUQDQgAE12",
        "-----END EC PRIVATE KEY-----",
    )
)


@pytest.fixture
def open_canary() -> Iterator[None]:
    with secrets_in_use(Credentials({"secret": CANARY})):
        yield


def base64_after(prefix: bytes, encode: str = "b64encode") -> str:
    encoded: bytes = getattr(base64, encode)(prefix + CANARY.encode() + b"\x00\xff~")
    return encoded.decode()


SPELLINGS = {
    "raw": CANARY,
    "lower case": CANARY.lower(),
    "quoted": quote(CANARY, safe=""),
    "quoted in lower case": quote(CANARY, safe="").lower(),
    "quoted as a path": quote(CANARY),
    "quoted in part": quote(CANARY, safe="/=+&'"),
    "quoted twice": quote(quote(CANARY, safe=""), safe=""),
    "quoted plus": quote_plus(CANARY),
    "hex": CANARY.encode().hex(),
    "upper hex": CANARY.encode().hex().upper(),
    "JSON": json.dumps(CANARY)[1:-1],
    "JSON in JSON": json.dumps(json.dumps(CANARY)),
    "JSON with UTF-8": json.dumps(CANARY, ensure_ascii=False)[1:-1],
    "JSON for HTML": json.dumps(CANARY).replace("<", "\\u003C").replace("&", "\\u0026")[1:-1],
    "HTML": html.escape(CANARY),
    "HTML twice": html.escape(html.escape(CANARY)),
    "HTML numbers": "".join(f"&#{ord(c)};" if not c.isalnum() else c for c in CANARY),
    "repr": repr(CANARY)[1:-1],
    "repr of repr": repr(repr(CANARY)),
    "ascii": ascii(CANARY)[1:-1],
    "repr of bytes": repr(CANARY.encode())[2:-1],
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_scrub_hides_an_open_value_in_every_spelling(spelling: str, open_canary: None) -> None:
    scrubbed = scrub(f"before {spelling} after")

    assert scrubbed.startswith("before ")
    assert scrubbed.endswith(" after")
    assert "***" in scrubbed
    assert all(
        part not in scrubbed.lower() for part in ("can", "ary", "zq7", "43414e", "c3a9", "20ac")
    )


@pytest.mark.parametrize("encode", ["b64encode", "urlsafe_b64encode"])
@pytest.mark.parametrize("prefix", [b"", b"u", b"us", b"user:"])
def test_scrub_hides_an_open_value_inside_base64(
    prefix: bytes, encode: str, open_canary: None
) -> None:
    encoded = base64_after(prefix, encode)
    start = -(-len(prefix) * 4 // 3)
    end = (len(prefix) + len(CANARY.encode())) * 4 // 3

    scrubbed = scrub(f"digest {encoded}")

    assert "***" in scrubbed
    whole = encoded[start:end]
    assert all(whole[i : i + 5] not in scrubbed for i in range(len(whole) - 4))


@given(st.text(st.characters(codec="utf-8"), min_size=6, max_size=16))
def test_scrub_hides_any_value_in_the_usual_spellings(value: str) -> None:
    credentials = Credentials({"password": value})
    for secret in credentials.values():
        stripped = secret.reveal()
        if len(stripped) < 6:
            return
        forms = (
            stripped,
            quote(stripped, safe=""),
            quote_plus(stripped),
            json.dumps(stripped)[1:-1],
            html.escape(stripped),
            repr(stripped)[1:-1],
            stripped.encode().hex(),
        )
        with secrets_in_use(credentials):
            assert [scrub(f"({form})") for form in forms] == ["(***)"] * len(forms)


def test_scrub_leaves_text_alone_once_the_credentials_are_closed() -> None:
    with secrets_in_use(Credentials({"uid": "plain-value"})):
        pass

    assert scrub("plain-value") == "plain-value"


def test_scrub_hides_a_value_until_its_last_user_closes_it() -> None:
    credentials = Credentials({"uid": "plain-value"})
    with secrets_in_use(credentials):
        with secrets_in_use(credentials):
            pass
        assert scrub("plain-value") == "***"


def test_scrub_forgets_a_value_when_its_user_fails() -> None:
    with pytest.raises(ZeroDivisionError), secrets_in_use(Credentials({"uid": "plain-value"})):
        raise ZeroDivisionError

    assert scrub("plain-value") == "plain-value"


def test_scrub_hides_values_opened_in_another_thread() -> None:
    seen: list[str] = []
    with secrets_in_use(Credentials({"uid": "plain-value"})):
        thread = threading.Thread(target=lambda: seen.append(scrub("plain-value")))
        thread.start()
        thread.join()

    assert seen == ["***"]


def test_scrub_survives_threads_that_open_and_close_at_once() -> None:
    credentials = [
        Credentials({"uid": f"shared-{i % 3}", "secret": f"own-{i}-x"}) for i in range(8)
    ]

    def work(mine: Credentials) -> None:
        for _ in range(200):
            with secrets_in_use(mine):
                leaks.extend(x for x in (scrub(mine["secret"].reveal()),) if x != "***")

    leaks: list[str] = []
    threads = [threading.Thread(target=work, args=(mine,)) for mine in credentials]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert leaks == []
    assert scrub("shared-0 own-0-x") == "shared-0 own-0-x"


def test_scrub_hides_a_longer_value_that_contains_a_shorter_one() -> None:
    with secrets_in_use(Credentials({"login": "trader", "secret": "trader-and-more"})):
        assert scrub("trader-and-more trader") == "*** ***"


def test_scrub_hides_a_short_value_only_where_it_stands_alone() -> None:
    with secrets_in_use(Credentials({"uid": "12"})):
        assert scrub("uid 12, order 3125, free 12.5") == "uid ***, order 3125, free ***.5"


def test_scrub_hides_each_line_of_a_key_file() -> None:
    with secrets_in_use(Credentials({"privateKey": PEM})):
        first, second = PEM.splitlines()[1:3]
        assert scrub(f"{first} and {second}") == "*** and ***"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("timestamp=1&signature=ab+c%2F", "timestamp=1&signature=***"),
        ("signature%3Dabc%26x%3D1", "signature%3D***"),
        ("AccessKeyId=abc-1&Signature=xyz==", "AccessKeyId=***&Signature=***"),
        ("apiKey=abc, symbol=BTC", "apiKey=***, symbol=BTC"),
        ('{"apiKey": "abc", "symbol": "BTC"}', '{"apiKey": "***", "symbol": "BTC"}'),
        ("{'OK-ACCESS-PASSPHRASE': 'a b'}", "{'OK-ACCESS-PASSPHRASE': '***'}"),
        (r"{\"api_key\":\"ab\/c\"}", r"{\"api_key\":\"***\"}"),
        ("X-MBX-APIKEY: vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zv", "X-MBX-APIKEY: ***"),
        ("X-BAPI-SIGN: 0123456789abcdef0123", "X-BAPI-SIGN: ***"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("{'authorization': 'Basic dXNlcjpwYXNz', 'x': 1}", "{'authorization': '***', 'x': 1}"),
        ("token eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM", "token ***"),
        (f"key {PEM} end", "key *** end"),
        (f"key {PEM[:60]}", "key ***"),
        (f"key {json.dumps(PEM)} end", 'key "***" end'),
        (
            "binance GET https://api.binance.com/api/v3/account?timestamp=1&x=y 401",
            "binance GET https://api.binance.com/api/v3/account 401",
        ),
        ("GET /v1/orders?AccessKeyId=a&b=c failed", "GET /v1/orders failed"),
        ("proxy http://me:pass@proxy.lan:80/", "proxy http://proxy.lan:80/"),
    ],
)
def test_scrub_hides_what_is_named_or_shaped_like_a_secret(text: str, expected: str) -> None:
    assert scrub(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Invalid signature: the clock is 3 s ahead.",
        "kraken requires apiKey and secret.",
        "Was it BTC/USDT? The exchange said 0.10000000.",
        "design=blue",
        "Order 12-34 of alpha is closed: 0.5 BTC at 30000 USDT.",
    ],
)
def test_scrub_leaves_ordinary_text_as_it_is(text: str) -> None:
    assert scrub(text) == text


@given(st.text(max_size=200))
def test_scrub_changes_nothing_the_second_time(text: str) -> None:
    once = scrub(f"{text} signature={text} 'apiKey': '{text}' Authorization: Basic {text}")

    assert scrub(once) == once


def test_scrub_cuts_a_huge_text_without_halving_a_secret(open_canary: None) -> None:
    scrubbed = scrub("x" * 199_990 + CANARY * 3)

    assert len(scrubbed) < 200_000
    assert "CAN" not in scrubbed


def test_one_line_cannot_forge_a_log_line() -> None:
    assert one_line("X\r\n2026 INFO fake\u2028more") == "X 2026 INFO fake more"


def test_one_line_writes_out_terminal_and_direction_controls() -> None:
    assert one_line("\x1b[31mred\x9b \u202eevil\x00") == r"\x1b[31mred\x9b \u202eevil\x00"


def test_one_line_writes_out_what_a_database_refuses() -> None:
    assert one_line("half \ud83d").encode() == rb"half \ud83d"


def test_one_line_is_bounded() -> None:
    line = one_line("word " * 1000)

    assert len(line) == MAX_MESSAGE
    assert line.endswith("…")


def test_one_line_scrubs_before_it_cuts(open_canary: None) -> None:
    assert one_line(f"abc {CANARY}", limit=8) == "abc ***"


def test_leg_error_keeps_what_our_own_errors_say() -> None:
    error = leg_error(RateLimited("binance: slow down", kind="DDoSProtection", retry_after=7.0))

    assert (error.category, error.kind, error.message, error.retry_after) == (
        "rate",
        "DDoSProtection",
        "binance: slow down",
        7.0,
    )


def test_leg_error_calls_a_foreign_error_a_bug(open_canary: None) -> None:
    error = leg_error(KeyError(f"no {CANARY}"))

    assert (error.category, error.kind, error.retry_after) == ("bug", "KeyError", None)
    assert "***" in error.message
    assert "CAN" not in error.message + error.trace


def test_leg_error_says_something_about_a_silent_error() -> None:
    assert leg_error(TimeoutError()).message == "TimeoutError without a message."


def test_leg_error_survives_an_error_that_cannot_be_printed() -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    assert leg_error(Unprintable()).kind == "Unprintable"


def test_leg_error_looks_into_a_group_of_one() -> None:
    group = ExceptionGroup("task group", [ExceptionGroup("inner", [CredentialsRejected("no")])])

    assert leg_error(group).category == "auth"


def _foreign_failure() -> None:
    local_value = "local" + "-text"
    raise ValueError("foreign" + local_value)


def _raised(message: str, *, hide: bool = False) -> Exception:
    try:
        try:
            _foreign_failure()
        except ValueError as e:
            raise ExchangeUnavailable(message) from None if hide else e
    except ExchangeUnavailable as e:
        return e
    raise AssertionError("unreachable")


def test_trace_names_a_foreign_cause_without_its_text() -> None:
    trace = redacted_trace(_raised("x.test is away"))

    assert "\nValueError\n\nThat led to:" in trace
    assert "foreignlocal" not in trace
    assert trace.endswith("providers.errors.ExchangeUnavailable: x.test is away")


def test_trace_shows_no_local_variables() -> None:
    assert "local-text" not in redacted_trace(_raised("x.test is away"))


def test_trace_leaves_out_a_suppressed_context() -> None:
    trace = redacted_trace(_raised("x.test is away", hide=True))

    assert "in _raised" in trace
    assert "in _foreign_failure" not in trace


def test_trace_shows_files_without_the_folders_of_this_machine() -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        leg_error(json.loads("{"))

    trace = redacted_trace(caught.value)
    assert 'File "json/decoder.py"' in trace
    assert 'File "/' not in trace


def test_trace_is_bounded_and_keeps_both_ends() -> None:
    def fail(depth: int) -> None:
        if depth:
            return fail_too(depth - 1)
        raise ZeroDivisionError("the end")

    def fail_too(depth: int) -> None:
        return fail(depth)

    with pytest.raises(ZeroDivisionError) as caught:
        fail(200)

    trace = redacted_trace(caught.value)
    assert len(trace) == MAX_TRACE
    assert "test_trace_is_bounded" in trace
    assert trace.endswith("ZeroDivisionError: the end")


def test_trace_cannot_be_given_frames_by_a_message() -> None:
    forged = 'away\n  File "providers/base.py", line 1, in forged\n'

    assert "\n  File" not in redacted_trace(ExchangeUnavailable(forged))


TRACE = """\
  File "providers/base.py", line 41, in read_leg
    rows = read()
  File "aiohttp/client.py", line 41, in _request
    raise
providers.errors.ExchangeUnavailable: order 41"""


def test_fingerprint_ignores_lines_and_ids() -> None:
    assert fingerprint("transport", "NetworkError", "order 12-ab", TRACE) == fingerprint(
        "transport", "NetworkError", "order 99f", TRACE.replace("line 41", "line 57")
    )


def test_fingerprint_ignores_how_a_library_is_built() -> None:
    moved = TRACE.replace("aiohttp/client.py", "aiohttp/http.py")

    assert fingerprint("transport", "E", "balances", TRACE) == fingerprint(
        "transport", "E", "balances", moved
    )


@pytest.mark.parametrize(
    "other",
    [
        ("rate", "E", "balances", TRACE),
        ("transport", "F", "balances", TRACE),
        ("transport", "E", "fills", TRACE),
        ("transport", "E", "balances", TRACE.replace("read_leg", "fetch")),
        ("transport", "E", "balances", TRACE.replace("providers/base", "providers/lookup")),
    ],
)
def test_fingerprint_tells_different_errors_apart(other: tuple[str, str, str, str]) -> None:
    assert fingerprint("transport", "E", "balances", TRACE) != fingerprint(*other)


def test_fingerprint_is_the_same_in_every_release() -> None:
    assert fingerprint("transport", "E", "balances", TRACE) == "e37ff50239356096"


def _logged(message: object, *args: object, error: BaseException | None = None) -> str:
    exc_info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("name", logging.ERROR, "file.py", 1, message, args, exc_info)
    assert RedactingFilter().filter(record)
    return logging.Formatter("%(levelname)s %(message)s").format(record)


def test_filter_scrubs_message_and_arguments(open_canary: None) -> None:
    assert _logged("read %s: %r", CANARY, [CANARY]) == "ERROR read ***: ['***']"


def test_filter_keeps_a_message_whose_arguments_do_not_fit(open_canary: None) -> None:
    assert _logged("read %d", CANARY) == "ERROR read %d ('***',)"


def test_filter_keeps_one_record_on_one_line() -> None:
    assert _logged("symbol %s", "X\r\n2026 INFO fake") == "ERROR symbol X 2026 INFO fake"


def test_filter_scrubs_the_traceback() -> None:
    logged = _logged("failed", error=_raised("GET https://x.test/a?signature=abc"))

    assert logged.endswith("ExchangeUnavailable: GET https://x.test/a")


def test_filter_scrubs_extra_fields(open_canary: None) -> None:
    record = logging.makeLogRecord({"msg": "sent", "request_headers": f"X: {CANARY}"})
    RedactingFilter().filter(record)

    assert vars(record)["request_headers"] == "X: ***"


def test_event_is_scrubbed_at_every_depth(open_canary: None) -> None:
    event = {
        "event": f"sent {CANARY}",
        "rows": [{CANARY: (CANARY, 1)}],
        "error": ValueError(CANARY),
    }

    assert scrub_event(None, "info", event) == {
        "event": "sent ***",
        "rows": [{"***": ["***", 1]}],
        "error": "***",
    }


def test_event_hides_values_by_their_name() -> None:
    event = {"apiKey": "short", "headers": {"X-MBX-APIKEY": "k", "Accept": "*/*"}}

    assert scrub_event(None, "info", event) == {
        "apiKey": "***",
        "headers": {"X-MBX-APIKEY": "***", "Accept": "*/*"},
    }


def test_event_keeps_numbers_as_they_are() -> None:
    event = {"rows": 3, "free": Decimal("0.10"), "complete": True, "error": None}

    assert scrub_event(None, "info", dict(event)) == event


def test_event_carries_the_redacted_trace_of_its_exception() -> None:
    error = _raised("GET https://x.test/a?signature=abc")

    event = scrub_event(None, "error", {"event": "failed", "exc_info": error})

    assert event == {"event": "failed", "exception": redacted_trace(error)}


def test_event_finds_the_exception_being_handled() -> None:
    try:
        _foreign_failure()
    except ValueError:
        event = scrub_event(None, "error", {"event": "failed", "exc_info": True})

    assert str(event["exception"]).endswith("ValueError: foreignlocal-text")


def test_query_of_every_parameter_is_cut(open_canary: None) -> None:
    url = "https://x.test/a?" + urlencode({"token": CANARY, "symbol": "BTC"})

    assert one_line(f"GET {url} 500") == "GET https://x.test/a 500"
