"""The whole line on a folder of small pictures: one run, its bundle, its report; verbs on plain paths."""

import json
import logging
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgedistill
from edgedistill import pipeline
from edgedistill.cli.app import run_command_line
from edgedistill.device.subject import opened_subject
from edgedistill.evaluate.predictor import open_predictor, predict
from edgedistill.examples import read_examples
from edgedistill.tasks.registry import open_encoder

RECIPE = {
    "id": "shapes", "task": "image-classification", "data": {"train": "photos"},
    "teacher": {
        "name": "tiny-vit", "fine_tuning": {"epochs": 16, "learning_rate": 0.01, "batch_size": 16},
        "configuration": {"model_type": "vit", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1,
                          "intermediate_size": 32, "patch_size": 8},
    },
    "pictures": {"side": 32, "teacher_copies": 2},
    "student": {"rung": "resnet-8-16"},
    "distillation": {
        "rows_seen": 1600, "batch_size": 32, "baseline": False, "learning_rate": 0.01, "transfer_set": {"rows": 200, "copies": 3},
        "losses": [{"name": "hidden-states", "weight": 0.1}],
    },
    "quantization": {"timing": False},
    "goals": [{"metric": "accuracy", "type": "min-value", "value": 0.5}],
    "seed": 3,
}


def write_photos(folder: Path) -> None:
    """Two classes, stripes across and stripes down, of which nobody needs a long training."""
    rng = np.random.default_rng(0)
    for label in ("across", "down"):
        (folder / label).mkdir(parents=True)
        for number in range(40):
            side = 32 if number % 2 else 40  # half of them have to be resized
            stripes = np.zeros((side, side), np.uint8)
            stripes[:: int(rng.integers(3, 6))] = 200
            pixels = (stripes if label == "across" else stripes.T) + rng.integers(0, 50, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number:02d}.png")


def write_picture_recipe(folder: Path) -> Path:
    """Write the pictures and the recipe beside them; return the recipe."""
    write_photos(folder / "photos")
    (folder / "recipe.yaml").write_text(json.dumps(RECIPE), encoding="utf-8")
    return folder / "recipe.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder; the recipe and the pictures lie beside it. Timing costs seconds and is the same for every task."""
    folder = tmp_path_factory.mktemp("images")
    recipe = write_picture_recipe(folder)
    told = logging.FileHandler(folder / "told.txt", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_benchmark", lambda *arguments: None)
        patch.setattr("edgedistill.progress._LINE_EVERY_S", 0.0)
        logger = logging.getLogger("edgedistill")
        patch.setattr(logger, "handlers", [told])
        before = logger.level
        logger.setLevel(logging.INFO)  # a level that is merely put there is not seen by what the logger remembers
        try:
            result = edgedistill.run(
                edgedistill.load_recipe(recipe), [edgedistill.load_target("raspberry-pi-zero-2w")], folder / "run"
            )
        finally:
            logger.setLevel(before)
    told.close()
    assert result.parity_problems == ()
    return folder / "run"


def test_run_when_finished_then_int8_is_whole_and_the_report_shows_pictures(finished: Path) -> None:
    target = json.loads((finished / "report.json").read_text(encoding="utf-8"))["targets"]["raspberry-pi-zero-2w"]
    student = target["variants"]["student_int8"]
    assert target["int8_coverage"]["weight_bytes_share"] == 1.0
    ledger = next(row for row in target["ledger"] if row["is_chosen"])
    # a scale for each filter is counted; where one for the tensor was chosen, this small file is a tenth smaller
    assert 0.98 < ledger["int8_bytes"] / student["size_bytes"] < 1.12
    shown = target["telling_rows"]
    assert shown
    assert all(row["thumbnail"].startswith("data:image/png;base64,") for row in shown)
    assert "data:image/png;base64," in (finished / "report.html").read_text(encoding="utf-8")
    assert {row["label"] for row in target["classes"]} == {"across", "down"}
    decisions = json.loads((finished / "report.json").read_text(encoding="utf-8"))["decisions"]
    assert not any(re.search(r"fused (\d+) nodes into \1$", line["what"]) for line in decisions)
    assert any("they cover the classes in turn" in line["why"] for line in decisions)
    assert "does not tell the hard from the soft loss" not in (finished / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", [
    "decoding: 40 of 80 pictures, about ", "labelling: 52 of 220 pictures, about "])
def test_run_when_a_step_is_long_then_says_how_far_and_how_long_still(finished: Path, line: str) -> None:
    assert line in (finished.parent / "told.txt").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("rung", "scheme", "least"), [("mobilenet-v2-0.35", "static_", 1.0), ("vit-4x64", "dynamic_", 0.85)])
def test_run_when_the_student_is_of_another_family_then_its_int8_follows_it_into_the_bundle(
    rung: str, scheme: str, least: float, finished: Path, tmp_path: Path
) -> None:
    """The teacher is there already; the student is trained, exported, quantized, evaluated, checked, packed and reported."""
    shutil.copytree(finished, tmp_path / "run")
    recipe = tmp_path / "recipe.yaml"
    photos = str(finished.parent / "photos")
    recipe.write_text(json.dumps(RECIPE | {"student": {"rung": rung}, "data": {"train": photos}}), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_benchmark", lambda *arguments: None)
        result = edgedistill.run(
            edgedistill.load_recipe(recipe), [edgedistill.load_target("raspberry-pi-zero-2w")], tmp_path / "run"
        )
    assert result.parity_problems == ()
    target = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))["targets"]["raspberry-pi-zero-2w"]
    assert next(row for row in target["ledger"] if row["is_chosen"])["rung"] == rung
    assert target["int8_coverage"]["weight_bytes_share"] >= least
    assert target["quantization"]["scheme"].startswith(scheme)
    variants = target["variants"]
    assert abs(variants["student_int8"]["accuracy"] - variants["student_onnx"]["accuracy"]) < 0.1
    bundle = tmp_path / "run" / "raspberry-pi-zero-2w" / "bundle"
    assert run_command_line(["verify", str(bundle)]) == 0


def test_bundle_when_asked_with_a_file_then_answers_as_the_evaluated_model(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = finished / "raspberry-pi-zero-2w" / "bundle"
    assert run_command_line(["verify", str(bundle)]) == 0
    assert "model_with_preprocessing.onnx" in capsys.readouterr().out
    picture = finished.parent / "photos" / "down" / "00.png"
    assert run_command_line(["predict", str(bundle), str(picture), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)[0]

    import onnxruntime

    session = onnxruntime.InferenceSession(str(bundle / "model_with_preprocessing.onnx"), providers=["CPUExecutionProvider"])
    _, probabilities, label = session.run(None, {"image": np.asarray(Image.open(picture).convert("RGB"))})
    assert label[0] == answer["label"]
    assert probabilities.max() == pytest.approx(answer["probability"], abs=1e-5)


def test_bundle_when_made_was_compared_with_transformers_on_the_files_and_holds_pictures_of_odd_sizes(finished: Path) -> None:
    bundle = finished / "raspberry-pi-zero-2w" / "bundle"
    told = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))["pictures"]
    golden = json.loads((bundle / "golden.json").read_text(encoding="utf-8"))
    tests = len(read_examples(next((finished / ".stages" / "prepare").iterdir()) / "test.arrow"))

    assert told["compared"] == told["compared_resized"] == tests
    assert 0 < told["compared_originals"] < tests  # the others are of the model's size, and were enlarged
    assert told["largest_difference_resized"] < 1e-5
    assert told["largest_difference"] < 1e-5
    assert told["largest_logit_difference"] < 1e-3
    assert told["decisions_flipped"] == 0
    odd = [vector for vector in golden["vectors"] if vector["picture"]]
    assert odd
    assert all((vector["height"], vector["width"]) != (32, 32) for vector in odd)


def test_bundle_when_read_holds_modules_for_apps_and_a_card_with_data_and_limits(finished: Path) -> None:
    bundle = finished / "raspberry-pi-zero-2w" / "bundle"
    card = (bundle / "README.md").read_text(encoding="utf-8")
    rows = sum(int(count) for count in re.findall(r"(\d+) (?:train|validation|test)[, ]", card.split("## Data")[1]))

    assert (bundle / "android" / "build.gradle.kts").is_file()
    assert (bundle / "ios" / "Tests" / "GoldenVectorsTests.swift").is_file()
    assert rows == 80
    assert "It knows 2 classes" in card
    assert "A picture is resized to 32 x 32 pixels, grey" in card
    assert "tokenizer" not in (bundle / "LICENSES.md").read_text(encoding="utf-8")


def test_evaluate_when_given_the_folder_of_pictures_then_reads_it_for_the_model(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (model,) = (finished / ".stages" / "quantize-student").iterdir()
    assert run_command_line(["evaluate", str(model), "--data", str(finished.parent / "photos"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n"] == 80
    assert found["accuracy"]["value"] > 0.5


def test_student_when_loaded_by_transformers_then_answers_as_the_float_onnx(finished: Path) -> None:
    import onnxruntime
    import torch
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    student = finished / "raspberry-pi-zero-2w" / "student"
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 1), dtype=np.uint8)
    inputs = AutoImageProcessor.from_pretrained(student)([pixels], return_tensors="pt")
    with torch.inference_mode():
        expected = AutoModelForImageClassification.from_pretrained(student).eval()(**inputs).logits.numpy()
    session = onnxruntime.InferenceSession(str(student / "onnx" / "model.onnx"), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"pixel_values": inputs["pixel_values"].numpy()})
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["bundle", "bundle.zip"])
def test_bundle_when_a_device_is_to_measure_it_then_its_golden_pictures_are_the_rows(finished: Path, name: str) -> None:
    bundle = finished / "raspberry-pi-zero-2w" / "bundle"
    golden = json.loads((bundle / "golden.json").read_text(encoding="utf-8"))["vectors"]
    with opened_subject(bundle.with_name(name), None) as subject:
        examples = read_examples(subject.examples)
        encoded = open_encoder(subject.model.parent).encode_examples(examples)
        answers = predict(open_predictor(subject.model), encoded)
    assert subject.oldest == edgedistill.load_target("raspberry-pi-zero-2w").runtime.oldest
    assert examples.shown == [vector["text"] for vector in golden]
    np.testing.assert_allclose(answers, [vector["logits"] for vector in golden], atol=1e-5)


def write_snapshots(folder: Path) -> Path:
    """Two classes of pictures such as a camera makes: JPEG, coloured, noisy, of many sizes. Return one that lies on its side.

    A red or a green disc, darker to one side, is somewhere on a background of any grey.
    """
    rng = np.random.default_rng(5)
    for label, channel in (("tomato", 0), ("lime", 1)):
        (folder / label).mkdir(parents=True)
        for number in range(50):
            height, width = (int(side) for side in rng.integers(50, 160, 2))
            down, across = np.mgrid[0:height, 0:width] / min(height, width)
            middle = rng.uniform(0.35, 0.65, 2) * (height, width) / min(height, width)
            is_disc = (down - middle[0]) ** 2 + (across - middle[1]) ** 2 < rng.uniform(0.2, 0.35) ** 2
            pixels = np.full((height, width, 3), rng.uniform(60, 190))
            pixels[is_disc] = 40
            pixels[is_disc, channel] = rng.uniform(150, 220)
            pixels = pixels * (0.7 + 0.3 * across / across.max())[..., None] + rng.normal(0, 12, pixels.shape)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / label / f"IMG_{number:04d}.JPG", quality=80)
    turned = folder / "tomato" / "IMG_0007.JPG"
    with Image.open(turned) as picture:
        exif = picture.getexif()
        exif[0x0112] = 6  # orientation: the camera was held upright
        picture.transpose(Image.Transpose.ROTATE_90).save(turned, quality=80, exif=exif)
    return turned


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_init_images_then_run_on_what_a_camera_makes_then_a_bundle_that_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What init writes stands, but for what makes it take minutes: the teacher's size, and how much is seen."""
    turned = write_snapshots(tmp_path / "photos")
    recipe, run = tmp_path / "photos.yaml", tmp_path / "run"
    assert run_command_line(["init", "--images", str(tmp_path / "photos"), "-o", str(recipe)]) == 0
    monkeypatch.setattr(pipeline, "_benchmark", lambda *arguments: None)
    cheap = ("teacher.configuration={model_type: resnet, layer_type: basic, embedding_size: 8, hidden_sizes: [8, 16], depths: [1, 1]}",
             "pictures.side=32", "pictures.teacher_copies=3", "distillation.transfer_set={rows: 300, copies: 3}",
             "distillation.rows_seen=6000", "distillation.baseline_rows_seen=2000", "student.rung=resnet-8-16", "search.trials=1",
             "quantization.timing=false")
    settings = [part for item in cheap for part in ("--set", item)]
    target = "raspberry-pi-zero-2w"
    assert run_command_line(["run", "--recipe", str(recipe), "-t", target, "-o", str(run), *settings]) == 0
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    # 65 pictures of train are two steps of 64 a pass: 46 passes are no more than the 6,000 pictures that the student sees
    (taught,) = [line["what"] for line in report["decisions"] if "trained the teacher on" in line["what"]]
    assert "trained the teacher on 5888 pictures" in taught
    variants = report["targets"][target]["variants"]
    assert variants["student_int8"]["accuracy"] > 0.9
    capsys.readouterr()
    bundle = run / target / "bundle"
    for label in ("tomato", "lime"):
        assert run_command_line(["predict", str(bundle), str(turned.parents[1] / label / "IMG_0007.JPG"), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)[0]["label"] == label
