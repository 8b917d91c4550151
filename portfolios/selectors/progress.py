from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from portfolios.models import Discrepancy, SyncRun
from portfolios.selectors.workers import workers
from portfolios.services.manual_sync import COOL_DOWN

STAGES = (
    SyncRun.Stage.WAITING,
    SyncRun.Stage.FETCHING,
    SyncRun.Stage.APPLYING,
    SyncRun.Stage.JUDGING,
)
# How a run that is over ended, in the words of who pressed the button.
_OUTCOMES: Final = {
    SyncRun.Status.SUCCEEDED: "done",
    SyncRun.Status.PARTIAL: "warnings",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a run.

    Parameters
    ----------
    state : str
        "done", "now", "next" or, where a run has ended too early, "failed".
    began_at, ended_at : datetime or None
        None where it has not come so far.
    """

    word: str
    state: str
    began_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def took(self) -> timedelta | None:
        if self.began_at is None or self.ended_at is None:
            return None
        # Queue and worker may go by two clocks.
        return max(self.ended_at - self.began_at, timedelta(0))


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is.

    Parameters
    ----------
    refresh_url : str
        The page to bring up to date once the run is over; empty for none.
    joined : bool
        Whether it was under way already when the button was pressed.
    differences : int
        Open discrepancies of the account; counted once the run is over.
    again_at : datetime or None
        When the button may be pressed again, if it was pressed too early.
    """

    run: SyncRun
    workers_silent: bool
    refresh_url: str = ""
    joined: bool = False
    differences: int = 0
    again_at: datetime | None = None

    @property
    def steps(self) -> list[Step]:
        here = _position(self.run)
        broke_off = not self.run.is_open and here < len(STAGES)
        begins = _begins(self.run)
        return [
            Step(
                word=str(stage.label),
                state=_step_state(i, here, broke_off),
                began_at=begins[i],
                ended_at=_first_known([*begins[i + 1 :], self.run.finished_at]),
            )
            for i, stage in enumerate(STAGES)
        ]

    @property
    def number(self) -> int:
        """Which of the stages is worked on, from one."""
        return min(_position(self.run) + 1, len(STAGES))

    @property
    def outcome(self) -> str:
        return _OUTCOMES.get(SyncRun.Status(self.run.status), self.run.status)

    @property
    def token(self) -> str:
        """What the browser has seen: as long as it stays the same, there is nothing to swap."""
        run = self.run
        counted = (run.progress_of, run.progress_done, run.progress_total)
        seen = (run.status, run.stage, *counted, run.attempts)
        return "-".join(str(part) for part in (*seen, int(self.workers_silent)))


def run_progress(
    run: SyncRun, now: datetime, *, refresh_url: str = "", joined: bool = False
) -> RunProgress:
    if run.is_open:
        return RunProgress(run, not workers(now).alive, refresh_url, joined)
    return RunProgress(
        run, workers_silent=False, refresh_url=refresh_url, differences=_open_differences(run)
    )


def cooling_progress(run: SyncRun, now: datetime) -> RunProgress:
    """Show the result that was pressed again too early, and when that may be done."""
    # Rounded up to the second that is shown, so that at that time the button works.
    again_at = (run.finished_at or now).replace(microsecond=0) + COOL_DOWN + timedelta(seconds=1)
    return RunProgress(
        run, workers_silent=False, differences=_open_differences(run), again_at=again_at
    )


def _open_differences(run: SyncRun) -> int:
    open_ones = Discrepancy.objects.filter(state=Discrepancy.State.OPEN)
    return open_ones.filter(account=run.account_id).count()


def _begins(run: SyncRun) -> list[datetime | None]:
    return [run.queued_at, run.started_at, run.applying_at, run.judging_at]


def _first_known(moments: list[datetime | None]) -> datetime | None:
    return next((moment for moment in moments if moment is not None), None)


def _position(run: SyncRun) -> int:
    stage = SyncRun.Stage(run.stage)
    return STAGES.index(stage) if stage in STAGES else len(STAGES)


def _step_state(index: int, here: int, broke_off: bool) -> str:
    if index != here:
        return "done" if index < here else "next"
    return "failed" if broke_off else "now"
