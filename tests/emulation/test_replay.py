"""Replaying rows: the guest's program runs for real, its emulator is a script."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgedistill.emulation import guest
from edgedistill.emulation.cores import core_named
from edgedistill.emulation.environment import Environment
from edgedistill.emulation.replay import replay

A72 = core_named("cortex-a72")


def test_replay_then_logits_memory_and_the_cheapest_round_are_there(
    model: Path, rows: list[dict[str, np.ndarray]], environment: Callable[..., Environment]
) -> None:
    found = replay(model, rows, core=A72, environment=environment())
    assert found.failure == ""
    assert found.runtime == f"onnxruntime {onnxruntime.__version__}"
    assert found.logits is not None
    assert found.logits.argmax(axis=1).tolist() == [0, 2, 1, 2]  # the most frequent token of each row
    assert found.peak_rss_bytes is not None
    assert found.peak_rss_bytes >= (found.baseline_rss_bytes or 0) > 8 << 20
    counted = found.instructions
    assert counted is not None
    assert counted.by_class == {"simd_dot": 100, "integer": 20}  # round 1 of 20 inferences: 2000 and 400
    assert counted.total == 120
    assert counted.spread == pytest.approx(2600 / 2400 - 1)
    assert counted.row_shape == (1, 4)  # sizes 1 3 4 5: the upper of the two in the middle
    assert counted.int8_path == "sdot"


def test_replay_then_the_emulator_is_told_core_and_guest_files(
    model: Path, rows: list[dict[str, np.ndarray]], environment: Callable[..., Environment],
    emulator_words: Callable[[], list[str]],
) -> None:
    made = environment()
    replay(model, rows, core=core_named("cortex-a53"), environment=made)
    words = emulator_words()
    assert words[words.index("-cpu") + 1] == "cortex-a53"
    assert words[words.index("-L") + 1] == str(made.folder / "cores" / "cortex-a53")
    assert f"PYTHONPATH={made.folder / 'site'}" in words
    assert "OPENBLAS_NUM_THREADS=1" in words


@pytest.mark.parametrize(("shape", "rows"), [((1, 3), (1, 3)), ((3,), (1, 3)), ((1, 1), (1, 1)), ((1, 5, 3), (5, 3)), ((1, 5, 1), (5, 1))])
def test_answers_of_a_call_then_a_row_for_each_decision(shape: tuple[int, ...], rows: tuple[int, int]) -> None:
    numbers = np.arange(np.prod(shape), dtype=np.float32)
    found = guest.by_classes(numbers.reshape(shape))
    assert found.shape == rows
    assert found.reshape(-1).tolist() == numbers.tolist()


def test_replay_without_a_counting_plugin_then_says_why(
    model: Path, rows: list[dict[str, np.ndarray]], environment: Callable[..., Environment],
    emulator_words: Callable[[], list[str]],
) -> None:
    found = replay(model, rows, core=A72, environment=environment(counts_instructions=False))
    assert found.logits is not None
    assert found.instructions is None
    assert found.not_counted_because == "no C compiler"
    assert "-plugin" not in emulator_words()


def test_replay_when_the_guest_dies_then_the_signal_is_named(
    model: Path, rows: list[dict[str, np.ndarray]], environment: Callable[..., Environment]
) -> None:
    found = replay(model, rows, core=A72, environment=environment(failure=128 + 4))
    assert found.logits is None
    assert found.failure.startswith("ended with SIGILL")
    assert "Illegal instruction" in found.failure


def test_replay_of_a_damaged_model_then_the_runtimes_words_are_kept(
    model: Path, rows: list[dict[str, np.ndarray]], environment: Callable[..., Environment]
) -> None:
    model.write_bytes(b"no model")
    found = replay(model, rows, core=A72, environment=environment())
    assert found.logits is None
    assert "InvalidProtobuf" in found.failure


def test_rows_when_written_and_read_then_shapes_and_types_are_kept(tmp_path: Path) -> None:
    rows = [{"a": np.array([[1, 2, 3]]), "b": np.ones((2, 1), np.float32)}, {"a": np.array([[4]]), "b": np.zeros((1, 1), np.float32)}]
    guest.write_rows(tmp_path / "rows.npz", rows)
    for written, read in zip(rows, guest.read_rows(tmp_path / "rows.npz"), strict=True):
        for name, values in written.items():
            assert read[name].dtype == values.dtype
            assert np.array_equal(read[name], values)


MAPS = "1000-3000 r-xp 0 00:00 0 guest\n8000-9000 rw-p 0 00:00 0\n"
SMAPS = """\
1000-2000 r-xp 00000000 00:00 0 guest
Rss:                   4 kB
Pss:                   2 kB
2000-3000 rw-p 00000000 00:00 0
Rss:                   4 kB
5000-7000 rwxp 00000000 00:00 0 emulator
Rss:                 800 kB
8000-9000 rw-p 00000000 00:00 0
Rss:                   1 kB
"""


def test_resident_bytes_then_only_the_guests_mappings_count(tmp_path: Path) -> None:
    (tmp_path / "maps").write_text(MAPS, encoding="ascii")
    (tmp_path / "smaps").write_text(SMAPS, encoding="ascii")
    assert guest.resident_bytes(tmp_path / "maps", tmp_path / "smaps") == 9 * 1024


def test_resident_bytes_when_the_system_does_not_tell_then_zero(tmp_path: Path) -> None:
    assert guest.resident_bytes(tmp_path / "maps", tmp_path / "smaps") == 0


def test_resident_bytes_here_then_about_what_psutil_says() -> None:
    psutil = pytest.importorskip("psutil")
    here = psutil.Process().memory_info().rss
    assert guest.resident_bytes() == pytest.approx(here, rel=0.1)


def test_count_then_mark_0_comes_before_the_counted_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(guest, "mark", lambda tag: seen.append(tag))
    guest.count(lambda: seen.append("run"), marks=2, inferences=3)
    assert seen[seen.index(0):] == [0, "run", "run", "run", 1, "run", "run", "run", 2]


@pytest.mark.parametrize(("answers", "found"), [
    ([np.zeros((1, 3), np.float32)], 0),
    ([np.zeros(1, np.int64), np.zeros((1, 3), np.float32)], 1),
    ([np.zeros((1, 1), np.float32), np.zeros((1, 2), np.float32)], 1),
    ([np.zeros(1, np.int64), np.zeros((1, 1), np.float32)], 1),
    ([np.zeros(1, np.int64), [{0: 0.5, 1: 0.5}]], None),
])
def test_scores_are_the_first_float_output_with_columns(answers: list, found: int | None) -> None:
    assert guest.scores_among(answers) == found
