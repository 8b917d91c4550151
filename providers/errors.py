"""Everything that can go wrong between PosSync and an exchange, by what the caller can do about it.

* OperationalException
  x TryLater                     the same read may work in a moment
    + ExchangeUnavailable        transport     no answer, a broken connection, a 5xx
    + ExchangeTimeout            transport     no whole answer within the deadline
    + ExchangeInMaintenance      maintenance   the exchange says so itself
    + NonceRejected              nonce         the key is used elsewhere at the same time
    + ClockSkewed                clock         our clock and the exchange's are apart
    + UnexpectedReport           parse         an answer that is not what the exchange documents
  x SlowDown                     stop asking until `retry_after`
    + RateLimited                rate          too many requests
    + TemporarilyBanned          rate          the exchange refuses this address or key for a while
    + BudgetSpent                rate          our share of what the market may be asked is used up; nothing was sent
  x NeedsPerson                  no retry helps, somebody has to change something
    + CredentialMissing          auth          a required secret is not stored; no request was made
    + CredentialsRejected        auth          the exchange does not accept the key or its signature
    + CredentialUnreadable       auth          the stored secret cannot be opened (lost key, edited row)
    + PermissionMissing          permission    the key lacks a right, or this address is not on its list
    + AccountSuspended           permission    the exchange has locked the account
    + RegionBlocked              permission    the exchange does not serve this address's country
    + EndpointRefused            permission    an endpoint that the operator has not allowed
    + MarketUnknown              unsupported   no such market in the pinned ccxt
    + PortfolioProviderNotFound  unsupported   no provider serves the market
    + CapabilityMissing          unsupported   the market cannot be asked this
    + OpeningRefused             opening       the books cannot be opened on what the exchange holds
  x NotServed                    transport     a 404 without a word of the exchange's own: no such list at this site
  x OrderUnknown                 not_found     the exchange says that it has no such order
  x OursToFix                    bug           a fault of PosSync; reported, never interpreted
    + WriteRefused               bug           a request that could change something at the exchange

The word in the third column is `category`, the class of an incident. Messages reach users and logs: never put a
key, a signature or a URL query in one.
"""

from __future__ import annotations

from typing import ClassVar


class OperationalException(Exception):
    """Base of every error that a sync may meet.

    Parameters
    ----------
    message : str
        One sentence for its reader: what happened, to what, what to do.
    kind : str
        Class name of the original error, such as ccxt's ``OrderNotFound``; our own class name if empty.
    """

    category: ClassVar[str] = "bug"

    def __init__(self, message: str, *, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind or type(self).__name__


class TryLater(OperationalException):
    category = "transport"


class ExchangeUnavailable(TryLater):
    pass


class ExchangeTimeout(TryLater):
    pass


class ExchangeInMaintenance(TryLater):
    category = "maintenance"


class NonceRejected(TryLater):
    category = "nonce"


class ClockSkewed(TryLater):
    category = "clock"


class UnexpectedReport(TryLater):
    category = "parse"


class SlowDown(OperationalException):
    """The exchange asks for fewer requests.

    Parameters
    ----------
    retry_after : float or None
        Seconds to wait, as the exchange's ``Retry-After`` header says; None if it says nothing.
    """

    category = "rate"

    def __init__(self, message: str, *, kind: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, kind=kind)
        self.retry_after = retry_after


class RateLimited(SlowDown):
    pass


class TemporarilyBanned(SlowDown):
    pass


class BudgetSpent(SlowDown):
    pass


class NeedsPerson(OperationalException):
    category = "permission"


class CredentialMissing(NeedsPerson):
    category = "auth"


class CredentialsRejected(NeedsPerson):
    category = "auth"


class CredentialUnreadable(NeedsPerson):
    category = "auth"


class PermissionMissing(NeedsPerson):
    pass


class AccountSuspended(NeedsPerson):
    pass


class RegionBlocked(NeedsPerson):
    pass


class EndpointRefused(NeedsPerson):
    pass


class MarketUnknown(NeedsPerson):
    category = "unsupported"


class PortfolioProviderNotFound(NeedsPerson):
    category = "unsupported"


class CapabilityMissing(NeedsPerson):
    category = "unsupported"


class OpeningRefused(NeedsPerson):
    category = "opening"


class NotServed(OperationalException):
    category = "transport"


class OrderUnknown(OperationalException):
    category = "not_found"


class OursToFix(OperationalException):
    category = "bug"


class WriteRefused(OursToFix):
    pass
