"""The rows that are timed have the data's median length."""

import numpy as np
import pytest

from edgedistill.benchmark.inputs import choose_inputs, rows_of_median_length
from edgedistill.examples import read_examples, write_examples
from edgedistill.tasks.text_classification.encoding import TextEncoder


@pytest.mark.parametrize(
    ("lengths", "rows"),
    [
        ([5, 3, 4, 3, 9], [2]),  # median 4: one row has it
        ([3, 3, 3, 8], [0, 1, 2]),
        ([2, 2, 6, 6], [2, 3]),  # median 4 lies in the middle: the longer
        ([2, 3, 7, 7], [2, 3]),  # median 5: 3 and 7 are equally far, the longer
        ([1, 4, 6, 20], [2]),  # median 5: 4 and 6 are equally far, the longer
        ([7], [0]),
    ],
)
def test_rows_when_lengths_differ_are_those_nearest_to_the_median(lengths, rows):
    assert rows_of_median_length(np.array(lengths), max_rows=32).tolist() == rows


def test_rows_when_there_are_too_many_are_spread_evenly():
    assert rows_of_median_length(np.full(101, 4), max_rows=5).tolist() == [0, 25, 50, 75, 100]


def test_choose_inputs_when_texts_are_given_encodes_the_median_ones_without_padding(tmp_path, make_model_folder):
    texts = ["lights", "turn the lights off", "turn the lights on", "please turn the lights off please", "lights on"]
    write_examples(tmp_path / "test.arrow", list("abcde"), texts, [0] * 5)
    # lengths 1, 4, 4, 6, 2: the median is 4
    chosen = choose_inputs(read_examples(tmp_path / "test.arrow"), TextEncoder.load(make_model_folder("student")))
    assert chosen.sequence_tokens == 4
    assert chosen.arrays["input_ids"].tolist() == [[2, 3, 4, 5], [2, 3, 4, 6]]
    assert chosen.arrays["attention_mask"].tolist() == [[1] * 4] * 2
    assert chosen.arrays["input_ids"].dtype == np.int64
