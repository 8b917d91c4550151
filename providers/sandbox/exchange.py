"""The practice exchange: records every request, lets faults happen, and asks the dialect."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlencode

from aiohttp import hdrs, web

from providers.sandbox.dialect import Dialect, DistortionKind, FaultKind, Request
from providers.sandbox.distortions import Distorter
from providers.sandbox.engine import Engine
from providers.sandbox.faults import Answer, Fault, misbehave

MOST_RECORDS: Final = 100_000


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request as it arrived.

    Parameters
    ----------
    query : str
        Without the signature.
    api_key : str
        Empty if it carried none.
    """

    at: datetime
    method: str
    path: str
    query: str
    api_key: str


class Exchange:
    """One exchange, asked request by request. `faults` may be changed at any time.

    Of the faults that meet a request, the first of a `FaultKind` decides what is answered. What it leaves whole, and
    what meets none, is distorted by all that are of a `DistortionKind`, one after the other.
    """

    def __init__(self, engine: Engine, dialect: Dialect, faults: Iterable[Fault] = ()) -> None:
        self.engine = engine
        self.dialect = dialect
        self.faults = [*faults]
        self.requests: deque[RecordedRequest] = deque(maxlen=MOST_RECORDS)
        self._distorter = Distorter(dialect)

    def answer(self, request: Request) -> Answer:
        api_key = self.dialect.account_of(request)
        self.requests.append(self._record(request, api_key))
        now = self.engine.clock()
        for fault in [*self.faults]:
            if isinstance(fault.kind, FaultKind) and fault.happens(request.path, api_key, now):
                answer = misbehave(fault, request, self._ask, self.dialect)
                break
        else:
            answer = Answer(self._ask(request))
        answer.response.headers.setdefault(hdrs.DATE, self._date(request))
        return answer

    def _ask(self, request: Request) -> web.Response:
        response = self.dialect.answer(request)
        response.headers[hdrs.DATE] = self._date(request)
        table = self.dialect.table(request.path)
        distortions = [x for x in self.faults if isinstance(x.kind, DistortionKind)]
        if table is None or not distortions or response.status != HTTPStatus.OK:
            return response
        api_key, now = self.dialect.account_of(request), self.engine.clock()
        distorted = self._distorter.begin(table, request, response)
        for fault in distortions:
            if not distorted.concerns(DistortionKind(fault.kind)):
                continue
            # One that finds nothing to distort has not happened.
            if fault.happens(request.path, api_key, now) and not distorted.apply(fault):
                fault.happened -= 1
        return distorted.response()

    def _date(self, request: Request) -> str:
        now = self.engine.clock() + self.dialect.clock_offset + request.clock_shift
        return format_datetime(now, usegmt=True)

    def _record(self, request: Request, api_key: str) -> RecordedRequest:
        kept = [(k, v) for k, v in parse_qsl(request.query) if k not in self.dialect.unrecorded]
        return RecordedRequest(
            self.engine.clock(), request.method, request.path, urlencode(kept), api_key
        )
