"""Giving freed memory back: it is done now and then, and nothing happens where the C library has no such call."""

import pytest

from edgedistill import heap


def test_give_back_freed_when_looping_then_every_sixty_fourth_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(heap, "_trim", lambda: asked.append)
    for done in range(200):
        heap.give_back_freed(done)
    assert len(asked) == 4


def test_give_back_freed_when_the_c_library_cannot_then_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_trim", lambda: None)
    assert heap.give_back_freed() is None


def test_trim_when_not_on_linux_then_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap.sys, "platform", "darwin")
    assert heap._trim.__wrapped__() is None


def test_trim_when_on_linux_with_glibc_then_a_call_that_says_whether_it_gave_something_back() -> None:
    trim = heap._trim()
    assert trim is None or trim(0) in (0, 1)
