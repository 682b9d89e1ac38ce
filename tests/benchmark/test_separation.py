"""Which models can be told apart: over the rounds of one process each, or over pairs of processes."""

import pytest

from edgedistill.benchmark.separation import sentences, separated, too_few_processes

from .synthetic import pairs


def _both(make_measurement, slow_down, n=12):
    reference, candidate = pairs(1, slow_down, n=n)
    return [
        make_measurement([r for process in processes for r in process], variant=name, processes=n)
        for name, processes in (("teacher_int8", reference), ("student_int8", candidate))
    ]


def test_processes_when_measured_then_are_the_rounds_in_groups(make_measurement):
    measurement = make_measurement([[1.0], [2.0], [3.0], [4.0]], processes=2)
    assert measurement.processes_s == (((1.0,), (2.0,)), ((3.0,), (4.0,)))


def test_sentences_when_one_is_a_third_slower_then_say_so_with_the_users_names(make_measurement):
    (sentence,) = sentences(_both(make_measurement, 1.33), {"teacher_int8": "a.onnx", "student_int8": "b.onnx"})
    assert sentence.startswith("b.onnx is slower than a.onnx: 0.7")


@pytest.mark.parametrize("n", [2, 7])
def test_separated_when_there_are_too_few_pairs_then_none_is_noisy_and_that_is_said_once(make_measurement, n):
    measured = _both(make_measurement, 1.33, n=n)
    assert separated(measured) == tuple(measured)
    assert too_few_processes(measured) == f"{n} processes a model are too few to say which of two is faster"
    (sentence,) = sentences(measured, {"teacher_int8": "a.onnx", "student_int8": "b.onnx"})
    assert sentence.startswith("too few pairs of processes to compare b.onnx with a.onnx: 0.7")
    assert sentence.endswith("; at least 8 are needed")


@pytest.mark.parametrize("measured", [lambda make: _both(make, 1.33, n=8), lambda make: _both(make, 1.33, n=4)[:1],
                                      lambda make: [make([[1.0], [2.0]]), make([[1.0], [2.0]])]],
                         ids=["enough pairs", "one model", "one process each"])
def test_too_few_when_there_is_nothing_to_say_then_is_empty(make_measurement, measured):
    assert too_few_processes(measured(make_measurement)) == ""


def test_separated_when_enough_pairs_leave_it_open_then_both_are_noisy_and_say_why(make_measurement):
    restless, other = ([[a], [a], [b], [b]] * 6 for a, b in ((1.0, 3.0), (3.0, 1.0)))
    measured = [make_measurement(restless, processes=12), make_measurement(other, variant="student", processes=12)]
    for measurement in separated(measured):
        assert measurement.is_noisy
        assert "cannot separate student from student_int8 on this machine" in measurement.warnings[0]


def test_separated_when_they_can_be_told_apart_then_nothing_is_added(make_measurement):
    assert all(not m.is_noisy and m.warnings == () for m in separated(_both(make_measurement, 1.33)))


def test_separated_when_there_is_one_process_each_then_goes_by_rounds(make_measurement):
    restless = make_measurement([[1.0], [3.0], [0.7], [1.4]], variant="student")
    steady = make_measurement([[1.0]] * 4)
    assert "cannot tell" in separated([steady, restless])[0].warnings[0]
