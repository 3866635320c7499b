"""Photos in three steps that overlap: order, errors, how many are held at once, and an end in the middle."""

import threading
import time

import pytest

from repvit_sam.errors import PhotoError
from repvit_sam.jobs.overlap import AHEAD, overlapped


def double(item, value=None):
    return item * 2 if value is None else value * 2


def test_results_come_in_the_order_of_the_items_whatever_takes_longest():
    def read(item):
        time.sleep(0.01 * (item % 3))
        return item

    def write(item, value):
        time.sleep(0.01 * (item % 2))
        return value + 1

    results = list(overlapped(range(9), read, double, write, (PhotoError,)))
    assert results == [(item, item * 2 + 1) for item in range(9)]
    assert list(overlapped([], read, double, write, (PhotoError,))) == []


@pytest.mark.parametrize("step", ["read", "compute", "write"])
def test_an_expected_error_takes_the_place_of_its_result_in_any_step(step):
    def failing(name):
        def work(item, value=None):
            if name == step and item == 2:
                raise PhotoError("two is damaged")
            return item

        return work

    results = list(overlapped(range(5), failing("read"), failing("compute"), failing("write"), (PhotoError,)))
    assert [item for item, _ in results] == list(range(5))
    assert [str(result) for _, result in results] == ["0", "1", "two is damaged", "3", "4"]


@pytest.mark.parametrize("step", ["read", "compute", "write"])
def test_any_other_error_is_raised_at_its_turn_and_ends_the_work(step):
    begun = []

    def failing(name):
        def work(item, value=None):
            begun.append((name, item))
            if name == step and item == 1:
                raise OSError("the disk is full")
            return item

        return work

    results = overlapped(range(100), failing("read"), failing("compute"), failing("write"), (PhotoError,))
    assert next(results)[0] == 0
    with pytest.raises(OSError, match="disk is full"):
        list(results)
    assert len(begun) < 40


def test_only_a_few_photos_are_held_at_once():
    """Reading is fast and writing slow: what waits between them must not grow."""
    held, most, lock = set(), [0], threading.Lock()

    def read(item):
        with lock:
            held.add(item)
            most[0] = max(most[0], len(held))
        return item

    def write(item, value):
        time.sleep(0.005)
        with lock:
            held.remove(item)

    assert len(list(overlapped(range(30), read, double, write, ()))) == 30
    assert most[0] <= 2 * AHEAD + 1


def test_steps_overlap():
    """While this thread computes the second photo, the third is read and the first is written."""
    reached = {"read": threading.Event(), "write": threading.Event()}

    def read(item):
        if item == 2:
            reached["read"].set()

    def write(item, value):
        if item == 0:
            reached["write"].set()

    def compute(item, value):
        if item == 1:
            assert all(event.wait(10) for event in reached.values())

    list(overlapped(range(3), read, compute, write, ()))


def test_ctrl_c_ends_at_once_while_a_picture_is_still_being_written():
    release, written = threading.Event(), []

    def write(item, value):
        release.wait(10)
        written.append(item)

    def compute(item, value):
        if item == 1:
            raise KeyboardInterrupt
        return value

    started = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        list(overlapped(range(9), double, compute, write, (PhotoError,)))
    assert time.perf_counter() - started < 5
    threads = [thread for thread in threading.enumerate() if thread.name in ("read", "write")]
    assert all(thread.daemon for thread in threads)
    release.set()
    for thread in threads:
        thread.join(10)
    assert written in ([], [0])  # what waited was cancelled
