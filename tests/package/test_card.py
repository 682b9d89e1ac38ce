import pytest
import yaml

from edgedistill.package.card import CardFigures, CardParts, model_card, retention_of
from edgedistill.package.contents import (
    Accelerator,
    BundleIdentity,
    GoldenVector,
    GoldenVectors,
    ModelInput,
    Preprocessing,
    RuntimeBuild,
    Sizes,
)
from edgedistill.problem_type import ONE_LABEL, SEVERAL_LABELS
from edgedistill.results import Interval

NONE = Preprocessing(file=None, reason="it is not BERT's", texts_proved=0, texts_fuzzed=0, added_bytes=0, pieces=0,
                     piece_table_bytes=0, fits_budget=None)
BUILD = RuntimeBuild(command="./build.sh --minimal_build", platform="linux",
                     accelerators=(Accelerator(name="NNAPI", use=False, why="it takes 1 of 9 nodes"),))
SIZES = Sizes(files_bytes=2345678, deflated_bytes=8765, deflated={"model.onnx": 7654})


DYNAMIC = "dynamic_wi8_afp32_per_channel"


def _card(base_model="someone/teacher", text="turn the lights down", scheme=DYNAMIC, labels=None, told=NONE, has_android=False, **figures):
    identity = BundleIdentity("intents", "text-classification", "raspberry-pi", base_model, "1.17", scheme=scheme)
    vector = GoldenVector(text=text, ids=(1,), logits=(0.0, 1.0), label="light", labels=labels)
    golden = GoldenVectors(tolerance=0.1, runtime="onnxruntime 1", architecture="x86_64", vectors=(vector,))
    inputs = [ModelInput(name="input_ids", dtype="int64")]
    parts = CardParts(model_bytes=1234567, sizes=SIZES, classes=27, inputs=inputs, golden=golden, preprocessing=told,
                      has_android=has_android, build=BUILD, rows={"train": 1800, "test": 200}, max_tokens=48,
                      problem=ONE_LABEL if labels is None else SEVERAL_LABELS)
    return model_card(identity, CardFigures(**figures), parts)


def test_card_when_read_by_a_hub_has_front_matter():
    front = yaml.safe_load(_card().split("---")[1])

    assert front["base_model"] == "someone/teacher"
    assert front["pipeline_tag"] == "text-classification"
    assert front["tags"] == ["onnx", "int8", "distillation"]


def test_card_when_the_teacher_is_a_folder_claims_no_hub_model():
    for folder in ("./teacher", "/srv/teacher", "..", "models/a/teacher"):
        assert "base_model" not in yaml.safe_load(_card(folder).split("---")[1])


@pytest.mark.parametrize(("scheme", "row", "summary", "tags", "per_call"), [
    (DYNAMIC, "model.onnx (int8)", "A distilled int8 text classifier.", ["onnx", "int8", "distillation"], True),
    ("static_wi8_ai8", "model.onnx (int8)", "A distilled int8 text classifier.", ["onnx", "int8", "distillation"], False),
    ("weight_only_wi8_afp32", "model.onnx (int8 weights)", "A distilled text classifier with int8 weights that computes in float.",
     ["onnx", "int8", "distillation"], False),
    ("float", "model.onnx (float)", "A distilled text classifier in float: the verdict on int8 was to ship float.",
     ["onnx", "distillation"], False),
    (None, "model.onnx", "A distilled text classifier.", ["onnx", "distillation"], False),
])
def test_card_when_the_scheme_is_told_goes_by_it(scheme, row, summary, tags, per_call):
    text = _card(scheme=scheme)

    assert f"| {row} | 1,234,567 bytes" in text
    assert f"\n{summary}\n" in text
    assert yaml.safe_load(text.split("---")[1])["tags"] == tags
    assert ("the int8 scale of the activations is computed per call" in text) is per_call
    assert "Give one text a call" in text


def test_card_when_nothing_was_measured_leaves_it_out():
    assert "accuracy" not in _card()
    assert "1,234,567 bytes" in _card()


def test_card_when_read_tells_sizes_compressed_and_not():
    text = _card()

    assert "| model.onnx (int8) | 1,234,567 bytes, compressed 7,654 |" in text
    assert "| all files but this one and `bundle.json` | 2,345,678 bytes, compressed 8,765 (deflate, each by itself) |" in text


def test_card_when_the_example_text_is_odd_stays_python():
    text = _card(text='say "hi" \\ \n``` é')
    examples = [part.split("\n```\n")[0] for part in text.split("```python\n")[1:]]

    assert len(examples) == 2
    for example in examples:
        compile(example, "card", "exec")
    assert examples[0].splitlines()[2] == "tokenizer.no_padding()"  # some files pad every text to one length


def test_card_when_the_runtime_can_be_reduced_says_how_and_what_to_run_it_on():
    text = _card()

    assert "made in a checkout of onnxruntime on a machine with the target's processor" in text
    assert "./build.sh --minimal_build" in text
    assert "loads `model.ort` and no other model of this bundle" in text
    assert "| NNAPI | no | it takes 1 of 9 nodes |" in text


@pytest.mark.parametrize(("file", "has_android", "said"), [
    (None, False, "their own tokenizer.\n\n|"),
    ("m.onnx", True, "Modules in `android/` and `ios/` use onnxruntime's ordinary packages, because they load\n`model_with_preprocessing.onnx`.\n"),
    ("m.onnx", False, "The module in `ios/` uses onnxruntime's ordinary packages, because it loads\n`model_with_preprocessing.onnx`.\n"),
])
def test_card_when_a_module_is_missing_does_not_speak_of_it(file, has_android, said):
    text = _card(told=NONE.model_copy(update={"file": file}), has_android=has_android)

    assert said in text
    assert ("`android/`" in text) == has_android
    assert ("ios/" in text) == (file is not None)


def test_card_when_read_tells_data_and_limits():
    text = _card(data_licence="CC0-1.0")

    assert "1,800 train, 200 test rows; licence: CC0-1.0" in text
    assert "It knows 27 classes" in text
    assert "from texts without labels where the recipe names any" in text
    assert "They serve the checks of a run (goals," in text
    assert "They serve the figures above, the checks of a run (goals," in _card(accuracy=RIGHT)
    assert "Texts are cut after 48 tokens." in text
    assert "It derives from `someone/teacher`" in text


def test_card_when_no_model_takes_raw_text_shows_none():
    assert "onnxruntime_extensions.get_library_path()" not in _card()


RIGHT = Interval(value=0.81, low=0.8, high=0.82)


def test_card_when_a_text_may_have_several_labels_says_when_one_applies():
    text = _card(labels=("light", "say 'hi'"))

    assert "\nA distilled int8 multi-label text classifier.\n" in text
    assert "A text may have several labels, or none. Each label has a probability of its own, the sigmoid of its logit" in text
    assert "applies where that is above 0.5, so where the logit is above 0" in text.replace("\n", " ")
    assert "- It knows 27 labels, and says yes or no to each of them; a text may so get several, or none.\n" in text
    assert "which labels apply may not." in text


def test_card_when_a_text_may_have_several_labels_shows_a_program_that_takes_sigmoids():
    text = _card(labels=("light", "say 'hi'"))

    examples = [part.split("\n```\n")[0] for part in text.split("```python\n")[1:]]
    assert len(examples) == 2
    for example in examples:
        compile(example, "card", "exec")
        assert "probabilities = 1 / (1 + np.exp(-logits))" in example
        assert example.endswith("""if p > 0.5])  # ['light', "say 'hi'"]""")


def test_card_when_a_text_may_have_several_labels_says_what_the_share_of_right_answers_counts():
    text = _card(labels=(), accuracy=RIGHT, teacher_accuracy=RIGHT, retention=0.9)

    assert "| share of texts with all labels right on test rows | 81.0 % (95 % interval 80.0 to 82.0 %) |" in text
    assert "| share of texts with all labels right of the teacher | 81.0 %" in text
    assert "accuracy" not in text.split("---\n")[2]
    assert "| retention of its share of texts with all labels right | 90.0 % |" in text
    (metric,) = yaml.safe_load(text.split("---")[1])["model-index"][0]["results"][0]["metrics"]
    assert metric == {"type": "accuracy", "name": "share of texts with all labels right", "value": 0.81}


def test_card_when_a_text_has_one_label_says_nothing_of_several():
    text = _card(accuracy=RIGHT)

    assert "| accuracy on test rows | 81.0 %" in text
    assert "sigmoid" not in text
    assert "several labels" not in text
    assert "share of texts" not in text


@pytest.mark.parametrize(("teacher", "kept"), [(0.9, 0.9), (0.0, None)])
def test_retention_when_the_teacher_is_never_right_is_left_out(teacher, kept):
    found = retention_of(RIGHT, Interval(value=teacher, low=0, high=1))

    assert found == (None if kept is None else pytest.approx(kept))
    assert ("retention" in _card(accuracy=RIGHT, retention=found)) == (kept is not None)
