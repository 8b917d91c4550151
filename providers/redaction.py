"""The one choke point for what is stored or logged: nothing secret passes, nothing is forged.

Open credentials are recognised by value, in every spelling that transports, exchanges and templates
give them; what else looks secret is recognised by its name or its shape.
Always scrub before cutting: half a secret is not recognised.
"""

from __future__ import annotations

import base64
import hashlib
import html.entities
import logging
import re
import sys
import threading
import traceback
import unicodedata
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from providers.credentials import HIDDEN, Credentials
from providers.errors import OperationalException, OursToFix, SlowDown
from providers.reports import LegError

MAX_MESSAGE: Final = 500
MAX_KIND: Final = 100
MAX_TRACE: Final = 8000
MAX_LOGGED: Final = 4000
OUR_PACKAGES: Final = ("portfolios", "possync_site", "providers")

# A longer text is cut, and then loses more than a secret's longest spelling: the cut may halve one.
_MAX_TEXT: Final = 200_000
_CUT_MARGIN: Final = 20_000
# Shorter values are hidden only where they stand alone: "1" would black out every number.
_SHORT: Final = 6
# A key file's lines travel alone, without their header or joined to one string.
_LINE_OF_KEY: Final = 16
_MAX_CHAIN: Final = 8

_ROOT: Final = Path(__file__).resolve().parent.parent

_NAMES_OF_SECRETS: Final = (
    r"(?<![a-z0-9])(?:[a-z0-9]{1,32}[-_]){0,6}"
    r"(?:(?:api|access)?[-_]?(?:sign(?:ature)?|passphrase)|sig|password|passwd|secret|\w{0,20}token"
    r"|(?:api|access|secret|private|listen)[-_]?key(?:[-_]?id)?"
    r"|authorization|cookie|session[-_]?id|otp|twofa)"
)
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]{1,64}-----.*?(?:-----END [A-Z0-9 ]{1,64}-----|\Z)", re.S)
_JWT = re.compile(r"eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*")
_AUTHORIZATION = re.compile(
    r"""(authorization\\*["']?\s*[:=]\s*(?:b?\\*["'])?)(?:[a-z0-9-]{1,32}\s+)?[^\s"',;*][^\s"',;]*""",
    re.I,
)
_NAMED = re.compile(
    rf"({_NAMES_OF_SECRETS})"
    r"""(?:(\\*["']?\s*[:=]\s*b?\\*["'])(?:[^"'\\]|\\[^"'\\])+"""  # "apiKey": "..."
    r"""|(=|%3d)[^\s&"'<>,;)}\]\\]+"""  # signature=...
    r"""|(:\s*)[a-z0-9+/=_.%-]{16,})""",  # X-MBX-APIKEY: ...
    re.I,
)
_QUERY = re.compile(r"""\?[\w.\[\]%-]{1,64}=[^\s"'<>]*""")
_USER_INFO = re.compile(r"""(://)[^/\s@"'<>]{1,512}@""")

_ENTITY_NAMES: Final[dict[str, list[str]]] = {}
for _name, _char in html.entities.html5.items():
    if _name.endswith(";"):
        _ENTITY_NAMES.setdefault(_char, []).append(_name)
_SHORT_ESCAPES: Final = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}

_OUR_FRAME = re.compile(
    rf'^  File "((?:{"|".join(OUR_PACKAGES)})/[^"]+)\.py", line \d+, in (.+)$', re.M
)
_IDENTIFIER = re.compile(r"\b(?=[\w-]*\d)[\w-]+\b")
_WHITESPACE = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029 ]+")


@dataclass(frozen=True, repr=False)
class _Spellings:
    """Every way in which one secret value may be written down."""

    value: str

    @cached_property
    def anchor(self) -> str:
        """A part that no escaping changes; a text without it need not be searched."""
        return max(re.split(r"[^a-z0-9]+", self.value.lower()), key=len)

    @cached_property
    def escaped(self) -> re.Pattern[str]:
        body = "".join(_char_spellings(char) for char in self.value)
        if len(self.value) < _SHORT:
            body = rf"(?<![^\W_]){body}(?![^\W_])"
        return re.compile(body, re.I)

    @cached_property
    def encoded(self) -> tuple[str, ...]:
        if len(self.value) < _SHORT:
            return ()
        raw = self.value.encode()
        cores = {_base64_core(raw, offset) for offset in range(3)}
        urlsafe = {core.translate(str.maketrans("+/", "-_")) for core in cores}
        return tuple(sorted({raw.hex(), *cores, *urlsafe}, key=len, reverse=True))

    def hidden_in(self, text: str) -> str:
        lowered = text.lower()
        if self.anchor in lowered:
            text = self.escaped.sub(HIDDEN, text)
        for form in self.encoded:
            if form.lower() in lowered:
                text = re.sub(re.escape(form), HIDDEN, text, flags=re.I)
        return text


def _char_spellings(char: str) -> str:
    """Match one character raw or escaped, once or repeatedly, for URL, JSON, Python or HTML."""
    if char.isascii() and char.isalnum():
        return char
    code = ord(char)
    utf8 = char.encode()
    utf16 = char.encode("utf-16-be").hex()
    forms = [
        re.escape(char),
        "".join(rf"%(?:25)*{byte:02x}" for byte in utf8),
        "".join(rf"\\+u{utf16[i : i + 4]}" for i in range(0, len(utf16), 4)),
        "".join(rf"\\+x{byte:02x}" for byte in utf8),
        rf"\\+x{code:02x}",
        rf"\\+u{code:08x}",
        rf"\\+{re.escape(char)}",
        rf"&(?:amp;)*#0*{code};",
        rf"&(?:amp;)*#x0*{code:x};",
    ]
    forms += [rf"&(?:amp;)*{name}" for name in _ENTITY_NAMES.get(char, ())]
    if char in _SHORT_ESCAPES:
        forms.append(rf"\\+{_SHORT_ESCAPES[char]}")
    forms += {" ": [r"\+"], "\n": [r"\r?\n\s*"]}.get(char, [])
    # The longest first, so that no rest of an escape is left behind.
    return f"(?:{'|'.join(sorted(forms, key=len, reverse=True))})"


def _base64_core(raw: bytes, offset: int) -> str:
    """Encode `raw` without the characters that depend on the bytes around it."""
    encoded = base64.b64encode(bytes(offset) + raw).decode()
    end = (offset + len(raw)) % 3
    return encoded[(0, 2, 3)[offset] : len(encoded) - (0, 3, 2)[end]]


class _OpenSecrets:
    """The values that are in use now, counted: two accounts may share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses: dict[str, tuple[int, _Spellings]] = {}
        self._longest_first: tuple[_Spellings, ...] = ()

    def add(self, value: str) -> None:
        with self._lock:
            uses, spellings = self._uses.get(value, (0, _Spellings(value)))
            self._uses[value] = (uses + 1, spellings)
            self._arrange()

    def remove(self, value: str) -> None:
        with self._lock:
            uses, spellings = self._uses.pop(value)
            if uses > 1:
                self._uses[value] = (uses - 1, spellings)
            self._arrange()

    def hidden_in(self, text: str) -> str:
        for spellings in self._longest_first:
            text = spellings.hidden_in(text)
        return text

    def _arrange(self) -> None:
        by_length = sorted(self._uses.values(), key=lambda use: len(use[1].value), reverse=True)
        self._longest_first = tuple(spellings for _, spellings in by_length)


_open_secrets = _OpenSecrets()


@contextmanager
def secrets_in_use(credentials: Credentials) -> Iterator[None]:
    """Hide the values of `credentials` from whatever is scrubbed meanwhile, in any thread."""
    values = [part for secret in credentials.values() for part in _parts(secret.reveal())]
    for value in values:
        _open_secrets.add(value)
    try:
        yield
    finally:
        for value in values:
            _open_secrets.remove(value)


def _parts(value: str) -> list[str]:
    lines = [line.strip() for line in value.splitlines()]
    return [value, *(line for line in lines if _LINE_OF_KEY <= len(line) < len(value))]


def scrub(text: str) -> str:
    """Hide open values in any spelling, what is named or shaped like a secret, and URL queries."""
    if len(text) > _MAX_TEXT:
        return scrub(text[:_MAX_TEXT])[:-_CUT_MARGIN]
    text = _open_secrets.hidden_in(text)
    text = _PEM.sub(HIDDEN, text)
    text = _JWT.sub(HIDDEN, text)
    text = _USER_INFO.sub(r"\1", text)
    text = _QUERY.sub("", text)
    text = _AUTHORIZATION.sub(rf"\1{HIDDEN}", text)
    return _NAMED.sub(_named_hidden, text)


def _named_hidden(match: re.Match[str]) -> str:
    name, *separators = match.groups(default="")
    return f"{name}{''.join(separators)}{HIDDEN}"


def one_line(text: str, limit: int = MAX_MESSAGE) -> str:
    """Scrub, write out line breaks, terminal and direction controls, and cut to `limit`."""
    printable = _printable(_WHITESPACE.sub(" ", scrub(text)).strip())
    return printable if len(printable) <= limit else f"{printable[: limit - 1]}…"


def _printable(text: str) -> str:
    """Write out control, format and lone surrogate characters; databases refuse some, too."""
    if text.isprintable():  # as nearly every text is: nothing of that kind is
        return text
    return "".join(_written_out(char) if _is_control(char) else char for char in text)


def _is_control(char: str) -> bool:
    return char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _written_out(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"


def leg_error(exception: BaseException) -> LegError:
    """Tell what may be stored and shown of any exception; one that is not of our tree is a bug."""
    while isinstance(exception, BaseExceptionGroup) and len(exception.exceptions) == 1:
        exception = exception.exceptions[0]
    known = exception if isinstance(exception, OperationalException) else None
    kind = one_line(known.kind if known else type(exception).__name__, MAX_KIND)
    return LegError(
        category=known.category if known else OursToFix.category,
        kind=kind,
        message=one_line(_text(exception)) or f"{kind} without a message.",
        retry_after=known.retry_after if isinstance(known, SlowDown) else None,
        trace=redacted_trace(exception),
    )


def redacted_trace(exception: BaseException) -> str:
    """Tell where `exception` was raised, oldest cause first, without local variables and folders.

    A cause that is not ours is named without its text: libraries quote what was sent. At most
    `MAX_TRACE` characters.
    """
    sections = [
        _section(e, with_text=e is exception or isinstance(e, OperationalException))
        for e in _chain(exception)
    ]
    trace = _printable(scrub("\n\nThat led to:\n\n".join(sections)))
    if len(trace) <= MAX_TRACE:
        return trace
    gap = "\n  ...\n"
    head = MAX_TRACE // 4
    return trace[:head] + gap + trace[head + len(gap) - MAX_TRACE :]


def _chain(exception: BaseException) -> list[BaseException]:
    chain = [exception]
    while len(chain) < _MAX_CHAIN:
        last = chain[-1]
        earlier = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
        if earlier is None or any(earlier is known for known in chain):
            break
        chain.append(earlier)
    return chain[::-1]


def _section(exception: BaseException, *, with_text: bool) -> str:
    kind = type(exception)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    text = one_line(_text(exception), MAX_TRACE // 4) if with_text else ""
    return "".join(_frames(exception.__traceback__)) + (f"{name}: {text}" if text else name)


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # a user's own class may fail at this, too
        return ""


def _frames(tb: TracebackType | None) -> list[str]:
    frames = [
        traceback.FrameSummary(
            _relative(frame.filename), frame.lineno, frame.name, lookup_line=False, line=frame.line
        )
        for frame in traceback.extract_tb(tb)
    ]
    return traceback.StackSummary.from_list(frames).format()


def _relative(filename: str) -> str:
    path = Path(filename)
    if path.is_relative_to(_ROOT) and path.relative_to(_ROOT).parts[0] in OUR_PACKAGES:
        return path.relative_to(_ROOT).as_posix()
    for root in sorted(filter(None, sys.path), key=len, reverse=True):
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return path.name


def fingerprint(category: str, kind: str, operation: str, trace: str) -> str:
    """Name the group of an error: same class, same operation, same way through our own code.

    Line numbers and ids do not count, so that neither a release nor the next order splits it.

    Parameters
    ----------
    operation : str
        What was being read, such as ``balances`` or ``order 123``.
    trace : str
        `LegError.trace`.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    way = [f"{path.replace('/', '.')}:{function}" for path, function in _OUR_FRAME.findall(trace)]
    parts = (category, kind, _IDENTIFIER.sub("#", operation), *way)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


class RedactingFilter(logging.Filter):
    """Scrubs a log record in place; for handlers whose formatter is not structlog's."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = one_line(_message(record), MAX_LOGGED), ()
        exception = _exception_in(record.exc_info)
        if exception is not None:
            record.exc_text, record.exc_info = redacted_trace(exception), None
        for name, value in vars(record).items():
            if isinstance(value, str) and name != "msg":
                setattr(record, name, scrub(value))
        return True


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # arguments that do not fit their template
        return f"{record.msg} {record.args}"


def scrub_event(
    logger: Any, method: str, event_dict: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Scrub a structlog event; may stand anywhere before the renderer."""
    exception = _exception_in(event_dict.pop("exc_info", None))
    if exception is not None:
        event_dict["exception"] = redacted_trace(exception)
    for key, value in event_dict.items():
        event_dict[key] = _logged(key, value)
    return event_dict


def _exception_in(exc_info: Any) -> BaseException | None:
    if exc_info is True:
        return sys.exception()
    found = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    return found if isinstance(found, BaseException) else None


def _logged(key: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | Decimal | logging.LogRecord):
        return value
    if re.fullmatch(_NAMES_OF_SECRETS, key, re.I):
        return HIDDEN
    if isinstance(value, Mapping):
        return {one_line(str(k)): _logged(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_logged(key, item) for item in value]
    if key in ("exception", "stack", "stack_info"):
        return _printable(scrub(_text(value)))
    return one_line(_text(value), MAX_LOGGED)
