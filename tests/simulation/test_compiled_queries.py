from __future__ import annotations

from tests.databases.comparing import compared
from tests.simulation.history import History


def test_in_a_whole_history_every_kept_query_is_what_django_makes_of_it(
    books_in_memory: None,
) -> None:
    with compared() as taken:
        assert History(20).run().wrong == []
    assert len(taken) > 300
