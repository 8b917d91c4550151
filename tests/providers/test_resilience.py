from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from providers.errors import (
    CredentialsRejected,
    ExchangeUnavailable,
    OperationalException,
    OrderUnknown,
    RateLimited,
    TemporarilyBanned,
    WriteRefused,
)
from providers.resilience import Retry

AT_ONCE = Retry(wait_initial=0.0, wait_max=0.0, wait_jitter=0.0)


class Exchange:
    """Fails as told, then answers."""

    def __init__(self, *errors: OperationalException) -> None:
        self._errors = list(errors)
        self.reads = 0

    async def read(self) -> str:
        self.reads += 1
        if self._errors:
            raise self._errors.pop(0)
        return "answer"

    def try_to_read(
        self, retry: Retry = AT_ONCE, remaining: Callable[[], float] = lambda: 60.0
    ) -> str:
        return asyncio.run(retry.call(self.read, remaining=remaining))


def unavailable() -> ExchangeUnavailable:
    return ExchangeUnavailable("Try later.")


def test_what_may_work_in_a_moment_is_tried_three_times() -> None:
    exchange = Exchange(unavailable(), unavailable())

    assert exchange.try_to_read() == "answer"
    assert exchange.reads == 3


def test_the_last_error_is_told_when_attempts_run_out() -> None:
    last = ExchangeUnavailable("The third.")
    exchange = Exchange(unavailable(), unavailable(), last)

    with pytest.raises(ExchangeUnavailable) as caught:
        exchange.try_to_read()

    assert caught.value is last


@pytest.mark.parametrize("error", [CredentialsRejected, OrderUnknown, WriteRefused, RateLimited])
def test_what_cannot_get_better_is_tried_once(error: type[OperationalException]) -> None:
    exchange = Exchange(error("No."))

    with pytest.raises(error):
        exchange.try_to_read()

    assert exchange.reads == 1


def test_a_pause_that_outlasts_the_deadline_is_not_begun() -> None:
    exchange = Exchange(unavailable())

    with pytest.raises(ExchangeUnavailable):
        exchange.try_to_read(Retry(), remaining=lambda: 1.0)

    assert exchange.reads == 1


@pytest.mark.parametrize("error", [RateLimited, TemporarilyBanned])
def test_it_waits_as_long_as_the_exchange_asks(error: type[RateLimited]) -> None:
    exchange = Exchange(error("Slower.", retry_after=0.01))

    assert exchange.try_to_read() == "answer"


def test_it_slows_down_once_only() -> None:
    exchange = Exchange(*(RateLimited("Slower.", retry_after=0.0) for _ in range(3)))

    with pytest.raises(RateLimited):
        exchange.try_to_read()

    assert exchange.reads == 2


def test_a_long_retry_after_is_left_to_the_next_sync() -> None:
    exchange = Exchange(RateLimited("Slower.", retry_after=61.0))

    with pytest.raises(RateLimited):
        exchange.try_to_read()

    assert exchange.reads == 1
