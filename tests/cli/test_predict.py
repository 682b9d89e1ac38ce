"""What `predict` prints: the most probable class, or where a text may have several labels all that apply."""

import json
from pathlib import Path

import pytest

import edgedistill
from edgedistill.cli.app import run_command_line
from edgedistill.package.answer import Answer, Candidate

TOP = (Candidate("light", 0.9), Candidate("music", 0.7), Candidate("weather", 0.2), Candidate("news", 0.125))
TOLD = [{"label": c.label, "probability": c.probability} for c in TOP]


def _printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], labels: tuple[str, ...] | None, *options: str) -> str:
    def answers(bundle: Path, texts: list[str]) -> tuple[Answer, ...]:
        return tuple(Answer("light", 0.9, TOP, labels) for _ in texts)

    monkeypatch.setattr(edgedistill, "predict", answers)
    assert run_command_line(["predict", "bundle", "a text", *options]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(("labels", "line"), [
    (None, "light 0.90  (music 0.70, weather 0.20)  a text\n"),
    (("light", "music"), "light 0.90, music 0.70  (weather 0.20, news 0.12)  a text\n"),
    (("light", "music", "weather", "news"), "light 0.90, music 0.70, weather 0.20, news 0.12  a text\n"),
    ((), "no label applies  (light 0.90, music 0.70)  a text\n"),
])
def test_predict_when_asked_prints_what_applies_and_what_comes_next(monkeypatch, capsys, labels, line):
    assert _printed(monkeypatch, capsys, labels) == line


def test_predict_when_texts_have_one_label_gives_json_without_labels(monkeypatch, capsys):
    assert json.loads(_printed(monkeypatch, capsys, None, "--json")) == [
        {"text": "a text", "label": "light", "probability": 0.9, "top": TOLD}]


@pytest.mark.parametrize("labels", [("light", "music"), ()])
def test_predict_when_texts_may_have_several_labels_gives_json_with_them(monkeypatch, capsys, labels):
    assert json.loads(_printed(monkeypatch, capsys, labels, "--json")) == [
        {"text": "a text", "label": "light", "probability": 0.9, "top": TOLD, "labels": list(labels)}]
