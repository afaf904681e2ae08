"""Who has a turn at the model: one at a time, in order, and a long work lets others go between."""

import threading
import time

import pytest

from spellout.page.turns import SLICE, Ended, Turns, Work


def test_one_works_at_a_time_and_no_turn_is_lost():
    turns, inside, most, done = Turns(), [], [], []

    def work(number):
        job = Work(turns, 60.0)
        with job.turn():
            for _ in range(20):
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)
                job._since -= 2 * SLICE  # its slice is over
                job.tick()
        done.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done) == list(range(8))
    assert set(most) == {1}


def test_a_short_work_need_not_wait_for_the_end_of_a_long_one():
    turns, short_done, long_began = Turns(), threading.Event(), threading.Event()

    def short():
        long_began.wait(60)
        with Work(turns, 60.0).turn():
            short_done.set()

    thread = threading.Thread(target=short)
    thread.start()
    job = Work(turns, 60.0)
    with job.turn():
        long_began.set()
        while not short_done.is_set():  # would not end if ticks did not let others go
            job.tick()
            time.sleep(0.001)
    thread.join(60)


def test_a_work_ends_when_its_time_is_over_or_nobody_waits():
    slow, left = Work(Turns(), 1e-9), Work(Turns(), 60.0)
    with slow.turn():
        time.sleep(0.001)
        with pytest.raises(Ended, match="1e-09 seconds are over"):
            slow.tick()
    with left.turn():
        left.tick()
        left.stop()
        with pytest.raises(Ended, match="nobody waits"):
            left.tick()


def test_an_error_gives_the_turn_back():
    turns = Turns()
    with pytest.raises(ValueError, match="ours"), Work(turns, 1.0).turn():
        raise ValueError("ours")
    turns.take()
    turns.give()
