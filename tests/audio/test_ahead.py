"""Reading ahead in threads: order kept, little held, errors in their place, threads ended."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from humanclap.audio.ahead import read_ahead, reading_threads


def named_threads() -> int:
    return sum(thread.name == "humanclap-read-ahead" for thread in threading.enumerate())


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("items", [1, 3, 100])
def test_everything_comes_in_the_order_of_the_sources_whatever_the_threads(threads, items):
    lengths = [3, 0, 1, 7, 0, 0, 2, 40, 1]

    def read(number, length):
        for item in range(length):
            time.sleep(0.001 * ((number * 7 + item) % 3))
            yield (number, item)

    found = [list(part) for part in read_ahead(lengths, read, threads=threads, items=items)]
    assert found == [[(n, item) for item in range(length)] for n, length in enumerate(lengths)]
    assert named_threads() == 0


def test_no_source_gives_nothing():
    assert list(read_ahead([], lambda number, source: [source], threads=3, items=2)) == []


def test_several_sources_are_read_beside_each_other():
    both_here = threading.Barrier(2, timeout=30)

    def read(number, source):
        both_here.wait()  # breaks where one waits for the other to end
        yield number

    assert [list(part) for part in read_ahead("ab", read, threads=2, items=4)] == [[0], [1]]


@pytest.mark.parametrize("threads", [1, 4])
def test_no_more_is_read_than_may_be_held_and_the_source_in_use_always_goes_on(threads):
    made, used, most, guard = 0, 0, 0, threading.Lock()

    def read(number, length):
        nonlocal made, most
        for item in range(length):
            with guard:
                made += 1
                most = max(most, made - used)
            yield item

    for part in read_ahead([50] * 12, read, threads=threads, items=6):
        for _ in part:
            with guard:
                used += 1
    assert (made, used) == (600, 600)
    # held, one more of the source in use, one in the hand of each thread, one just taken
    assert most <= 6 + 1 + threads + 1


def test_no_more_sources_are_begun_than_items_may_be_held():
    drawn = 0

    def sources():
        nonlocal drawn
        for number in range(100):
            drawn += 1
            yield number

    with closing(read_ahead(sources(), lambda n, s: [], threads=4, items=5)) as parts:
        list(next(parts))
        time.sleep(0.1)
        assert drawn <= 6


def test_an_error_is_raised_in_its_place_and_the_next_source_goes_on():
    def read(number, source):
        yield number
        if number == 1:
            raise ValueError("broken")

    parts = read_ahead("abc", read, threads=2, items=9)
    assert list(next(parts)) == [0]
    second = next(parts)
    assert next(second) == 1
    with pytest.raises(ValueError, match="broken"):
        next(second)
    assert [list(part) for part in parts] == [[2]]


def test_an_error_of_the_list_of_sources_comes_behind_what_was_before_it():
    def sources():
        yield "a"
        raise ValueError("no more names")

    parts = read_ahead(sources(), lambda number, source: [source], threads=3, items=9)
    assert list(next(parts)) == ["a"]
    with pytest.raises(ValueError, match="no more names"):
        list(next(parts))
    assert list(parts) == []


def test_closing_ends_the_threads_though_they_wait_for_room():
    parts = read_ahead([1000] * 8, lambda number, length: range(length), threads=4, items=2)
    next(next(parts))
    parts.close()
    assert named_threads() == 0


def test_what_is_left_of_a_source_is_dropped_when_the_next_is_asked_for():
    parts = read_ahead([5, 5, 5], lambda number, length: range(length), threads=1, items=100)
    found = [next(part) for part in parts]
    assert found == [0, 0, 0]


def test_one_thread_at_least_reads_and_at_most_eight():
    assert 1 <= reading_threads() <= 8
