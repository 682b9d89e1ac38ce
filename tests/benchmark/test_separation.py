"""Which models can be told apart: over the rounds of one process each, or over pairs of processes."""

from edgedistill.benchmark.separation import sentences, separated

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


def test_separated_when_there_are_too_few_pairs_then_both_are_noisy_and_say_why(make_measurement):
    for measurement in separated(_both(make_measurement, 1.33, n=4)):
        assert measurement.is_noisy
        assert "cannot separate student_int8 from teacher_int8 on this machine" in measurement.warnings[0]


def test_separated_when_they_can_be_told_apart_then_nothing_is_added(make_measurement):
    assert all(not m.is_noisy and m.warnings == () for m in separated(_both(make_measurement, 1.33)))


def test_separated_when_there_is_one_process_each_then_goes_by_rounds(make_measurement):
    restless = make_measurement([[1.0], [3.0], [0.7], [1.4]], variant="student")
    steady = make_measurement([[1.0]] * 4)
    assert "cannot tell" in separated([steady, restless])[0].warnings[0]
