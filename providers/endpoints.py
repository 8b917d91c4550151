"""Which base URL may take the place of an exchange's own."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from providers.errors import EndpointRefused

_HOST_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_LOOPBACK_NAME = "localhost"


def allowed_endpoint(url: str, allowlist: Iterable[str]) -> str:
    """Tell the scheme, host and port that `url` stands for.

    Parameters
    ----------
    allowlist : iterable of str
        Host names and addresses; any port of theirs is allowed.

    Raises
    ------
    EndpointRefused
        If `url` is more than a scheme, a host and a port, if its host is not in `allowlist`, or if it is
        plain http to anything but loopback.
    """
    parts, port = _parts(url)
    host = _canonical_host(parts.hostname or "")
    if host is None:
        raise _refused("its host is not a name or an address")
    if host not in {_canonical_host(entry.strip().strip("[]")) for entry in allowlist}:
        raise _refused(f"its host {host} is not on the list")
    if parts.scheme == "http" and not _is_loopback(host):
        raise _refused("plain http may go to loopback only")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "")


def _parts(url: str) -> tuple[SplitResult, int | None]:
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise _refused("it is not a URL of plain ASCII")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("it is not a URL") from None
    if parts.scheme not in ("http", "https"):
        raise _refused("it starts with neither http:// nor https://")
    if "@" in parts.netloc:
        raise _refused("it carries a user name")
    if parts.path not in ("", "/") or "?" in url or "#" in url:
        raise _refused("it is more than a scheme, a host and a port")
    return parts, port


def _canonical_host(host: str) -> str | None:
    """Spell a host in one way, so that 127.1, 2130706433 and 0x7f.1 are all 127.0.0.1."""
    name = host.lower().removesuffix(".")
    if ":" in name:
        return _canonical_ipv6(name)
    try:
        return str(ipaddress.IPv4Address(socket.inet_aton(name)))
    except OSError:
        # What ends in a number is an address to some resolvers, and no name to any.
        is_name = _HOST_NAME.fullmatch(name) and not name.rpartition(".")[2].isdigit()
        return name if is_name else None


def _canonical_ipv6(name: str) -> str | None:
    try:
        address = ipaddress.IPv6Address(name)
    except ValueError:
        return None
    return None if address.scope_id else str(address.ipv4_mapped or address)


def _is_loopback(host: str) -> bool:
    if host == _LOOPBACK_NAME:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refused(why: str) -> EndpointRefused:
    return EndpointRefused(
        f"This endpoint is not allowed: {why}. "
        "The operator lists allowed hosts in POSSYNC_ENDPOINT_ALLOWLIST."
    )
