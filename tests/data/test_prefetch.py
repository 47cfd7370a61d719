"""Work that threads do ahead: in order, bounded, and not done when nobody takes it."""

import concurrent.futures
import threading

import pytest

from gluonface.data.prefetch import map_ahead


def test_results_come_in_order():
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(map_ahead(pool, lambda n: n * n, range(50), 7)) == [n * n for n in range(50)]


def test_items_are_taken_as_far_as_needed():
    taken = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = map_ahead(pool, str, (taken.append(n) or n for n in range(100)), 5)
        assert next(results) == "0"
        assert taken == list(range(6))
        results.close()


def test_an_error_is_raised_at_its_item():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = map_ahead(pool, lambda n: 1 // n, [1, 1, 0, 1], 2)
        assert [next(results), next(results)] == [1, 1]
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_a_closed_generator_cancels_what_is_not_begun():
    gate, done = threading.Event(), []

    def work(n):
        gate.wait(10)
        done.append(n)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        results = map_ahead(pool, lambda n: n if n == 0 else work(n), range(20), 10)
        assert next(results) == 0
        results.close()
        gate.set()
    assert done in ([1], [])
