"""What `edgedistill benchmark` prints, of texts and of pictures."""

import re

import pytest

import edgedistill
from edgedistill.benchmark.stage import Measurements
from edgedistill.cli.app import run_command_line
from edgedistill.recipe import BenchmarkProtocol
from tests.device.picture_model import make_picture_folder, write_some_pictures

SHORT = BenchmarkProtocol(warmup_runs=1, min_runs=10, min_duration_s=0.001, rounds=2)


def _short(monkeypatch):
    """Let the command measure for a moment only."""
    measure = edgedistill.measure_detail
    monkeypatch.setattr(edgedistill, "measure_detail", lambda *given, protocol: measure(*given, protocol=SHORT))


def test_benchmark_command_in_detail_when_pictures_then_counts_images_and_says_what_end_to_end_is(
    tmp_path, monkeypatch, capsys
):
    _short(monkeypatch)
    write_some_pictures(tmp_path / "rows.arrow")
    folder = make_picture_folder(tmp_path / "student")
    assert run_command_line(["benchmark", str(folder), "--data", str(tmp_path / "rows.arrow"), "--detail"]) == 0
    printed = capsys.readouterr().out
    assert "images a second" in printed
    assert "36 pixels, batch 8, 1 thread(s)" in printed
    assert "end to end: decoding a PNG file and normalising inside the timed call" in printed
    assert "token" not in printed


def test_benchmark_command_in_detail_when_texts_then_counts_tokens(tmp_path, make_model_folder, monkeypatch, capsys):
    _short(monkeypatch)
    (tmp_path / "rows.tsv").write_text("label\ttext\na\tturn off\na\tturn the lights off\n")
    command = ["benchmark", str(make_model_folder("student")), "--data", str(tmp_path / "rows.tsv"), "--detail"]
    assert run_command_line(command) == 0
    printed = capsys.readouterr().out
    assert "tokens a second" in printed
    assert "end to end: tokenization inside the timed call" in printed


ROUNDS = [[0.0121, 0.0123, 0.0125, 0.0123], [0.0119, 0.0123, 0.0127, 0.0140]]


@pytest.fixture
def benchmark_of(monkeypatch, make_measurement, tmp_path, capsys):
    """A function that runs the command on two models of a folder, with made-up times, and returns what it prints."""

    def benchmark(folder, *energies):
        measured = tuple(
            make_measurement(ROUNDS, variant=variant).model_copy(update={
                "energy_per_run_j": energy, "load_s": 0.034, "first_run_s": 0.0567, "peak_rss_bytes": 31 << 20,
                "baseline_rss_bytes": 29 << 20,
            })
            for variant, energy in zip(("student_onnx", "student_int8"), energies, strict=True)
        )
        monkeypatch.setattr(edgedistill, "measure", lambda *given, **options: Measurements(
            sequence_tokens=measured[0].sequence_tokens, measurements=measured))
        monkeypatch.setattr("edgedistill.benchmark.naming.name_models", lambda models: {
            "student_onnx": "work/onnx", "student_int8": "work/int8"})
        command = ["benchmark", str(folder), str(folder), "--data", str(tmp_path), "--processes", "1"]
        assert run_command_line(command) == 0
        return capsys.readouterr().out

    return benchmark


def test_benchmark_command_then_prints_intervals_spread_rate_and_start_in_80_columns(benchmark_of, make_model_folder):
    printed = benchmark_of(make_model_folder("student"), 0.0123, None)
    lines = [re.split(r"  +", line) for line in printed.splitlines()]
    assert ["model", "p50 (95 % interval)", "MAD", "p90", "p99", "energy a run"] in lines
    # of eight runs the median and the first and last, whose ranks are 1 and 8; |x - 12.3| is 0, 0, 0, .2, .2, .4, .4, 1.7
    assert ["work/onnx", "12.3 ms (11.9 to 14.0)", "200 µs", "13.1 ms", "13.9 ms", "12.3 mJ"] in lines
    assert ["work/int8", "12.3 ms (11.9 to 14.0)", "200 µs", "13.1 ms", "13.9 ms", "-"] in lines
    assert ["model", "tokens a second", "load", "first run", "memory over runtime", "noisy"] in lines
    assert ["work/int8", "325", "34.0 ms", "56.7 ms", "2.00 MiB", "no"] in [[cell.strip() for cell in line] for line in lines]
    tables = printed.splitlines()[:9]
    assert max(map(len, tables)) <= 80


def test_benchmark_command_when_no_energy_can_be_read_then_has_no_column_for_it(benchmark_of, make_model_folder):
    assert "energy" not in benchmark_of(make_model_folder("student"), None, None)


def test_benchmark_command_of_pictures_then_counts_images(benchmark_of, tmp_path):
    printed = benchmark_of(make_picture_folder(tmp_path / "student"), None, None)
    assert "images a second" in printed
    assert re.search(r"\b81\.3 +34\.0 ms", printed)  # one image in 12.3 ms
    assert "4 pixels, 1 thread(s)" in printed
