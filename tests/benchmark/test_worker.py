"""The worker answers as it should, and imports nothing that would be counted as the model's memory."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

import edgedistill
from edgedistill.benchmark.messages import Load, Loaded, Message, Open, Opened, Ran, Refused, Run, decode, encode
from edgedistill.benchmark.raw_rows import write_raw
from edgedistill.benchmark.worker import Bench, peak_rss_bytes, read_rows, serve, with_encoder
from edgedistill.tasks.image_classification.encoding import PictureEncoder
from tests.device.picture_model import make_picture_folder, write_some_pictures


def _serve(*requests: Message) -> list[Message]:
    replies = io.StringIO()
    serve(io.StringIO("".join(map(encode, requests))), replies)
    return [decode(line) for line in replies.getvalue().splitlines()]


def test_serve_when_a_model_runs_reports_every_run(make_model_folder, input_file):
    model = make_model_folder("student") / "model.onnx"
    opened, loaded, ran = _serve(
        Open("onnx", 1, str(input_file)), Load(str(model), 4), Run(runs=10, duration_ns=0, rewarm_runs=2)
    )
    assert isinstance(opened, Opened)
    assert opened.runtime.startswith("onnxruntime ")
    assert isinstance(loaded, Loaded)
    assert len(loaded.warmup_ns) == 4
    assert min(loaded.load_ns, loaded.first_run_ns, *loaded.warmup_ns) > 0
    assert isinstance(ran, Ran)
    assert len(ran.samples_ns) == 10
    assert min(ran.samples_ns) > 0
    assert ran.peak_rss_bytes >= opened.peak_rss_bytes


def test_serve_when_a_duration_is_asked_runs_until_it_is_filled(make_model_folder, input_file):
    model = make_model_folder("student") / "model.onnx"
    *_, ran = _serve(Open("onnx", 1, str(input_file)), Load(str(model), 1), Run(1, 2_000_000, 0))
    assert isinstance(ran, Ran)
    assert sum(ran.samples_ns) >= 2_000_000
    assert sum(ran.samples_ns[:-1]) < 2_000_000


def test_serve_when_the_model_is_broken_refuses_with_a_hint(tmp_path, input_file):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a graph")
    *_, refused = _serve(Open("onnx", 1, str(input_file)), Load(str(broken), 1))
    assert isinstance(refused, Refused)
    assert "broken.onnx" in refused.message
    assert refused.hint


@pytest.mark.parametrize("request_", [Load("model.onnx", 1), Run(1, 0, 0), Ran((), 0)])
def test_answer_when_asked_out_of_turn_raises(request_):
    with pytest.raises(ValueError, match="cannot be asked now"):
        Bench().answer(request_)


def test_bench_when_it_runs_takes_the_rows_in_turn(input_file):
    seen = []

    class Recorder:
        def logits(self, batch):
            seen.append(int(batch["input_ids"][0, 0]) * 10 + int(batch["input_ids"][0, 3]))
            return np.zeros((1, 3), np.float32)

    bench = Bench(rows=read_rows(input_file), call=Recorder().logits)
    bench.answer(Run(runs=2, duration_ns=0, rewarm_runs=2))
    assert seen == [25, 26, 74, 25]


def test_read_rows_when_there_are_three_gives_three_of_batch_one(input_file):
    rows = read_rows(input_file)
    assert [row["input_ids"].shape for row in rows] == [(1, 4)] * 3
    assert all(row["input_ids"].flags.c_contiguous for row in rows)


def test_read_rows_when_asked_for_batches_gives_whole_ones(input_file):
    (pair,) = read_rows(input_file, batch=2)
    assert pair["input_ids"].shape == (2, 4)


@pytest.mark.parametrize("arena", [True, False])
def test_serve_when_texts_are_given_tokenizes_them_inside_the_call(make_model_folder, tmp_path, arena):
    model = make_model_folder("student") / "model.onnx"
    write_raw(tmp_path / "texts.npz", [b"turn the lights off", b"turn on", b"please"])
    encoder = "edgedistill.tasks.text_classification.encoding:TextEncoder"
    *_, ran = _serve(
        Open("onnx", 1, str(tmp_path / "texts.npz"), batch=1), Load(str(model), 1, arena, encoder),
        Run(runs=3, duration_ns=0, rewarm_runs=0),
    )
    assert isinstance(ran, Ran)
    assert len(ran.samples_ns) == 3


def test_with_encoder_when_raw_pictures_are_given_then_decodes_and_normalises_what_the_model_gets(tmp_path):
    folder = make_picture_folder(tmp_path / "student")
    examples = write_some_pictures(tmp_path / "rows.arrow")
    encoder = PictureEncoder.load(folder)
    write_raw(tmp_path / "raw.npz", encoder.raw(examples))
    seen = []

    class Recorder:
        def logits(self, batch):
            seen.append(batch["pixel_values"])

    call = with_encoder(Recorder(), encoder)
    for row in read_rows(tmp_path / "raw.npz", batch=2):
        call(row)
    assert [batch.shape for batch in seen] == [(2, 3, 6, 6)] * 2  # five pictures: a batch that is not whole is left out
    np.testing.assert_array_equal(np.concatenate(seen), encoder.encode_examples(examples).batch(range(4))["pixel_values"])


def test_read_rows_when_raw_and_of_any_length_then_reads_back(tmp_path):
    write_raw(tmp_path / "raw.npz", [b"a", b"", "ä\0".encode()])
    assert read_rows(tmp_path / "raw.npz") == ((b"a",), (b"",), ("ä\0".encode(),))


def test_peak_rss_when_read_is_at_least_what_is_resident_now():
    resident = psutil.Process().memory_info().rss
    # the kernel batches its counters per core, hence the slack
    assert peak_rss_bytes() >= resident - 4 * 2**20


def test_worker_when_it_loads_onnx_imports_no_other_runtime():
    """Whatever is imported here would be counted as memory that the bare runtime needs."""
    code = (
        "import sys, edgedistill.benchmark.worker as w; w.import_runtime('onnx', threads=1);"
        "print(sorted({'torch', 'transformers', 'pydantic', 'scipy', 'onnx', 'pyarrow', 'tokenizers', 'psutil'}"
        " & set(sys.modules)))"
    )
    root = Path(edgedistill.__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    assert done.stdout.strip() == "[]"
