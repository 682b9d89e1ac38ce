"""What is put together of a device's answers: a failed gate names the recipe's own key."""

from typing import Any

import numpy as np

from edgedistill.device.measure import Observed
from edgedistill.device.stage import Settings, judged
from edgedistill.examples import Examples, read_examples, write_examples
from edgedistill.problem_type import SEVERAL_LABELS
from edgedistill.recipe import BenchmarkProtocol

from .test_judge import FACTS


def test_judged_when_a_third_is_decided_otherwise_then_fails_and_names_the_key_to_loosen(tmp_path: Any) -> None:
    write_examples(tmp_path / "rows.arrow", ["a", "b", "c"], ["turn", "turn", "off"], [0, 0, 1])
    examples: Examples = read_examples(tmp_path / "rows.arrow")
    here = np.array([[2, 1], [2, 1], [1, 2]], np.float32)
    observed = Observed(np.array([[2, 1], [1, 2], [1, 2]], np.float32), (), 1, 0)
    settings = Settings(address="ssh://pi@board", device=FACTS.model_copy(update={"is_emulated": True}), protocol=BenchmarkProtocol(),
                        min_agreement=0.95)
    found = judged(settings, "0", observed, here=here, examples=examples)
    assert not found.against_host.passed
    (problem,) = found.against_host.problems
    assert problem.startswith("parity.int8_min_agreement: 1 of 3 decisions flipped")
    assert found.accuracy is not None
    assert round(found.accuracy.value, 4) == 0.6667


def test_judged_when_rows_have_several_labels_then_whole_sets_count(tmp_path: Any) -> None:
    write_examples(tmp_path / "rows.arrow", ["a", "b"], ["turn", "off"], np.array([[1, 1], [0, 1]]))
    examples: Examples = read_examples(tmp_path / "rows.arrow")
    here = np.array([[2, 1], [-1, 2]], np.float32)
    observed = Observed(np.array([[1, 2], [1, 2]], np.float32), (), 1, 0)
    settings = Settings(address="ssh://pi@board", device=FACTS.model_copy(update={"is_emulated": True}), protocol=BenchmarkProtocol(),
                        min_agreement=0.95)
    found = judged(settings, "0", observed, here=here, examples=examples, problem=SEVERAL_LABELS)
    assert found.against_host.decisions_flipped == 1  # of the second row; another first choice in the first changes no set
    assert found.accuracy is not None
    assert found.accuracy.value == 0.5
