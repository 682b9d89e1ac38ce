import math
import subprocess
import sys

import numpy as np
import pytest

from edgedistill.errors import BundleError, UsageError
from edgedistill.package.answer import Candidate, answer_of
from edgedistill.package.predict import predict_text
from edgedistill.problem_type import SEVERAL_LABELS


def test_predict_when_asked_answers_as_computed_by_hand(packed):
    """'lamp lamp' is 4 tokens with 2 words of class light: logits 4, 0, 0."""
    (answer,) = predict_text(packed / "bundle", ["lamp lamp"])

    expected = math.exp(4) / (math.exp(4) + 2)
    assert answer.label == "light"
    assert answer.probability == pytest.approx(expected, abs=1e-6)
    assert answer.top[0] == Candidate(answer.label, answer.probability)
    assert [c.label for c in answer.top] == ["light", "music", "weather"]
    assert sum(c.probability for c in answer.top) == pytest.approx(1)
    assert answer.labels is None


def test_predict_when_given_the_zip_answers_the_same(packed):
    texts = ["turn the lamp now", "some rain", "song"]

    assert predict_text(packed / "bundle.zip", texts) == predict_text(packed / "bundle", texts)


def test_predict_when_two_words_share_an_id_answers_alike(packed):
    bulb, lamp = predict_text(packed / "bundle", ["bulb", "lamp"])

    assert bulb == lamp


def test_predict_when_text_is_very_long_cuts_it(packed):
    assert predict_text(packed / "bundle", ["song " * 10_000])[0].label == "music"


def test_predict_when_given_one_string_answers_once(packed):
    assert [a.label for a in predict_text(packed / "bundle", "rain")] == ["weather"]


def test_predict_when_given_nothing_answers_nothing(packed):
    assert predict_text(packed / "bundle", []) == ()


def test_predict_when_top_is_one_gives_one_candidate(packed):
    assert len(predict_text(packed / "bundle", ["rain"], top=1)[0].top) == 1


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "labels.json"])
def test_predict_when_a_needed_file_is_altered_refuses(bundle, name):
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(bytes(content))

    with pytest.raises(BundleError, match=f"{name}: does not match"):
        predict_text(bundle, ["rain"])


def test_predict_when_imported_and_used_loads_neither_torch_nor_transformers(packed):
    program = (
        "import sys; from pathlib import Path; from edgedistill.package.predict import predict_text\n"
        "print(predict_text(Path(sys.argv[1]), ['rain'])[0].label)\n"
        "print(sorted({'torch', 'transformers', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(packed / "bundle")], capture_output=True, text=True)

    assert done.stdout.split("\n")[:2] == ["weather", "[]"], done.stderr


def test_predict_when_a_text_holds_half_a_surrogate_pair_refuses_and_says_which(packed):
    with pytest.raises(UsageError, match=r"text 2 holds half a surrogate pair: 'a\\ud800b'"):
        predict_text(packed / "bundle", ["rain", "a\ud800b"])


def test_answer_when_more_labels_apply_than_are_asked_for_tells_them_all():
    answer = answer_of(np.array([1, -1, 3, 2], np.float32), "abcd", top=1, problem=SEVERAL_LABELS)

    assert answer.labels == ("c", "d", "a")
    assert [c.label for c in answer.top] == ["c", "d", "a"]
    assert answer.probability == pytest.approx(1 / (1 + math.exp(-3)))


def test_answer_when_logits_are_huge_or_zero_has_probabilities_without_a_warning():
    answer = answer_of(np.array([-1000, 0, 1000], np.float32), "abc", top=5, problem=SEVERAL_LABELS)

    assert answer.labels == ("c",)  # a logit of 0 is no yes
    assert [(c.label, c.probability) for c in answer.top] == [("c", 1.0), ("b", 0.5), ("a", 0.0)]
