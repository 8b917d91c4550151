"""What people decide: every decision can be shown first, is done exactly so, is noted and can be taken back."""

from __future__ import annotations

from portfolios.services.decisions.changes import Change, Changes, changes_of
from portfolios.services.decisions.deciding import ChangedMeanwhile, decide, preview, why_not
from portfolios.services.decisions.doing import DecisionRefused, Proposal
from portfolios.services.decisions.kinds import KINDS

__all__ = [
    "KINDS",
    "Change",
    "ChangedMeanwhile",
    "Changes",
    "DecisionRefused",
    "Proposal",
    "changes_of",
    "decide",
    "preview",
    "why_not",
]
