"""The plan as text: within a hundred columns, all shapes, the parts, the spans, what binds, the denied runtime."""

import json

import pytest

from edgedistill.catalog import load_recipe, load_target, target_ids
from edgedistill.cli.app import run_command_line
from edgedistill.cli.plan_text import plan_text, runtime_words
from edgedistill.plan import DataFacts, make_plan
from edgedistill.tasks.text_classification.ladder import ladder

FACTS = DataFacts(29, 2000, 9, ((5, 10), (9, 20), (30, 5)))


def text_for(name: str) -> str:
    return plan_text(make_plan(load_recipe("home-intents").recipe, load_target(name), FACTS, ladder()))


@pytest.mark.parametrize("name", target_ids())
def test_plan_text_when_any_shipped_target_then_fits_a_terminal_of_a_hundred_columns(name: str) -> None:
    assert max(map(len, text_for(name).splitlines())) <= 100


def test_plan_text_when_read_then_holds_what_the_ledger_promises() -> None:
    text = text_for("raspberry-pi")
    assert all(rung.id in text for rung in ladder())
    for words in ("embedding", "encoder", "head", "vectors", "graph", "smallest", "median", "largest", "binding: model_bytes binds",
                  "texts of 5 to 30 tokens, 9 in the median", "fitted on published latencies", "second opinion",
                  "would allow", "nine texts in ten within"):
        assert words in text, words


def test_runtime_words_when_a_version_is_denied_then_with_reason_and_reference() -> None:
    words = runtime_words(load_target("raspberry-pi"))
    assert words.startswith("onnxruntime 1.17 or newer, not 1.21.0: SIGILL")
    assert "issues/23957" in words
    assert "not" not in runtime_words(load_target("raspberry-pi-5"))


def test_plan_json_then_parts_spans_binding_and_lengths(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["plan", "--target", "raspberry-pi", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["raspberry-pi"]
    row = found["ledger"][0]
    assert sum(row["int8_bytes_by_part"].values()) == row["int8_bytes"]
    assert row["latency_source"] == "fitted"
    assert found["binding"]["name"] == "model_bytes"
    assert found["spans"]["model_bytes"]["least"] == found["ledger"][-1]["int8_bytes"]
    assert sum(item["texts"] for item in found["lengths"]) > 1000
    assert found["runtime"]["denied"][0]["version"] == "1.21.0"
