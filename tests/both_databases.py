"""The test files that the gate runs on PostgreSQL too."""

from __future__ import annotations

# What two databases can do differently: keep, add up, compare and sort amounts; refuse a row; hold a lock; find rows
# again that are written together. With a full sync of every kind and every page once. What else talks to a database
# asks nothing of it that these do not: of a file that asks the same again and again for what Python decides, the tests
# that ask it first are named. Where proof is asked for, all of it is run.
BOTH_DATABASES = (
    "tests/house/test_conftest.py",
    "tests/portfolios/selectors/test_comparison.py",
    "tests/portfolios/scenarios/test_concurrency.py",
    "tests/portfolios/scenarios/test_lives.py::test_l01_what_comes_back_is_the_next_episode_of_the_same_row",
    "tests/portfolios/scenarios/test_lives.py::test_l02_found_a_hundred_times_it_stays_dismissed",
    "tests/portfolios/test_append_only.py",
    "tests/portfolios/test_clock_ahead.py",
    "tests/portfolios/test_damaged_rows.py",
    "tests/portfolios/test_fields.py",
    "tests/portfolios/test_tasks.py",
    "tests/portfolios/test_number_survival.py",
    "tests/portfolios/test_query_plans.py",
    "tests/portfolios/test_queue.py",
    "tests/portfolios/services/test_budgets.py",
    "tests/portfolios/services/test_beats.py",
    "tests/portfolios/services/test_breakers.py",
    "tests/portfolios/services/test_discrepancies.py",
    "tests/portfolios/services/test_integrity.py",
    "tests/portfolios/services/test_ledger.py",
    "tests/portfolios/services/test_order_batch.py",
    # A quiet run finds a read again that was stored as JSON; what else wakes the next one is asked of no database.
    "tests/portfolios/services/test_quiet_runs.py::test_a_quiet_run_is_a_run_like_any_other",
    "tests/portfolios/services/test_quiet_runs.py::test_a_quiet_run_asks_the_database_half_as_often",
    "tests/portfolios/services/test_quiet_runs.py::test_a_past_verdict_of_a_quiet_run_is_recomputed_to_the_same",
    "tests/portfolios/services/test_quiet_runs_together.py",
    "tests/portfolios/services/test_runs.py",
    "tests/portfolios/services/test_shared_clock.py",
    "tests/portfolios/services/test_traded_symbols.py",
    # Of pages: each of them of one row and of many, and of a number that is none of an id's.
    "tests/portfolios/views/test_every_page.py::test_it_does_not_find_what_is_not_there",
    "tests/portfolios/views/test_every_page.py::"
    "test_a_page_asks_the_database_seldom_and_as_often_for_many_rows_as_for_one",
)
