"""Progress: what, how far, how long still; a line now and then where no terminal is, nothing where nobody asked."""

import logging

import pytest

from edgedistill import progress
from edgedistill.progress import Progress, counted, duration


class _Clock:
    """A clock that goes on by a second each time a unit of work is done."""

    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    found = _Clock()
    monkeypatch.setattr(progress, "time", found)
    monkeypatch.setattr(progress, "_is_shown", lambda: True)
    return found


def test_lines_when_no_terminal_come_now_and_then_with_the_time_left(clock, caplog):
    with caplog.at_level(logging.INFO, logger="edgedistill"):
        for _ in counted(range(60), what="labelling", total=60, unit="texts"):
            clock.now += 1.0

    assert [record.getMessage() for record in caplog.records] == [
        "labelling: 15 of 60 texts, about 45 s left", "labelling: 30 of 60 texts, about 30 s left",
        "labelling: 45 of 60 texts, about 15 s left",
    ]


def test_lines_when_nobody_knows_how_much_there_is_say_how_long_it_took(clock, caplog):
    with caplog.at_level(logging.INFO, logger="edgedistill"):
        for _ in counted(range(20), what="decoding", total=None, unit="pictures"):
            clock.now += 1.0

    assert [record.getMessage() for record in caplog.records] == ["decoding: 15 pictures, 15 s so far"]


def test_lines_when_the_work_is_short_are_none(clock, caplog):
    with caplog.at_level(logging.INFO, logger="edgedistill"):
        assert list(counted("abc", what="answering", total=3, unit="texts")) == ["a", "b", "c"]

    assert caplog.records == []


def test_left_when_work_goes_on_counts_only_what_this_process_did(clock):
    with Progress("training", total=100, unit="steps", done=40) as found:
        assert found.left() == "time left not known yet"
        clock.now += 10
        found.advance(10)

        assert found.left() == "about 50 s left"  # 50 steps more at a step a second


def test_bar_when_on_a_terminal_and_asked_for_is_drawn_on_stderr_and_not_when_quiet(monkeypatch):
    made = []
    monkeypatch.setattr(progress, "tqdm", lambda **given: made.append(given) or _Bar())
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    for is_shown in (True, False):
        monkeypatch.setattr(progress, "_is_shown", lambda is_shown=is_shown: is_shown)
        with Progress("training", total=10, unit="steps") as found:
            found.advance(3)

    assert [(bar["total"], bar["unit"], bar["file"]) for bar in made] == [(10, " steps", progress.sys.stderr)]


class _Bar:
    def update(self, count):
        assert count == 3

    def close(self):
        pass


@pytest.mark.parametrize(("seconds", "said"), [(0, "0 s"), (59.4, "59 s"), (185, "3 min 5 s"), (7800, "2 h 10 min")])
def test_duration_then_has_its_two_largest_units(seconds, said):
    assert duration(seconds) == said


def test_progress_when_the_log_is_off_is_not_shown():
    from edgedistill.cli.terminal import show_work

    show_work(False)
    assert not progress._is_shown()
    show_work(True)
    assert progress._is_shown()
