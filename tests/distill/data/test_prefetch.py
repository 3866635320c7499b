import threading
import time

import pytest

from repvit_sam.distill.data.prefetch import in_threads


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_the_order_of_the_inputs(workers):
    def slow_at_first(number):
        time.sleep(0.02 if number == 0 else 0)
        return number

    assert list(in_threads(slow_at_first, range(20), workers, ahead=4)) == list(range(20))


def test_no_more_is_computed_ahead_than_was_asked_for():
    started = []
    results = in_threads(started.append, range(100), workers=1, ahead=5)
    next(results)
    results.close()  # waits for the work that has begun
    assert len(started) == 6


def test_an_error_is_raised_in_its_place():
    results = in_threads(lambda number: 1 // number, [1, 1, 0, 1], workers=2, ahead=4)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_without_workers_the_caller_does_the_work():
    (thread,) = in_threads(lambda _: threading.current_thread(), [0], workers=0, ahead=4)
    assert thread is threading.current_thread()
