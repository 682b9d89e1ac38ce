"""The page in headless Chromium, served from the bundle: the same ids and logits as Python's, and no request elsewhere."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

_spec = importlib.util.spec_from_file_location("web_logits", Path(__file__).parents[2] / "benchmarks" / "web_logits.py")
web_logits = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(web_logits)


def _answer(ids, logits, label):
    return {"ids": ids, "logits": logits, "label": label}


def test_comparison_when_one_logit_is_off_counts_it_and_says_how_far():
    golden = {"tolerance": 0.25, "tolerances": {"wasm": 0.1}, "vectors": [_answer([1, 2], [0.0, 1.0], "b"), _answer([1], [3.0, 1.0], "a")]}
    answers = [_answer([1, 2], [0.0, 1.0005], "b"), _answer([3], [3.04, 1.0], "b")]

    found = web_logits.compared(answers, golden)

    assert (found["vectors"], found["equal_ids"], found["equal_labels"], found["within_1e-3"]) == (2, 1, 1, 1)
    assert found["max_abs_errors"] == [0.0005, 0.04]
    assert found["tolerance"] == 0.1


def test_spread_when_one_text_is_off_counts_it_and_its_class():
    found = web_logits.spread([[0.0, 1.0], [2.0, 1.0]], np.array([[0.0, 1.0], [1.5, 1.75]]))

    assert (found["rows"], found["equal_classes"], found["within_1e-3"], found["max_abs_error"]) == (2, 1, 1, 0.75)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(web_logits.CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
@pytest.mark.skipif(web_logits.NPM is None, reason="needs npm for onnxruntime-web: apt-get install npm")
def test_page_when_opened_in_a_browser_answers_the_golden_vectors_as_python_does(bundle, tmp_path):
    problem = web_logits.install(bundle)
    if problem:
        pytest.skip(problem)

    seen = web_logits.seen_in_browser(bundle, tmp_path)

    assert "failure" not in seen, seen
    golden = json.loads((bundle / "golden.json").read_text())
    found = web_logits.compared(seen["answers"], golden)
    assert found["equal_ids"] == found["equal_labels"] == found["within_1e-3"] == len(golden["vectors"]) == 32
    assert seen["state"] == "Everything is computed on this device."
    assert seen["shown"] == 3
    assert seen["replayed"].startswith("Passed: of 32 golden vectors 32 have the same ids and 32 the same class;")
    assert seen["replayed"].endswith(" off, 0.05 is allowed.")
    assert set(seen["fetched"]) == {seen["origin"]}
