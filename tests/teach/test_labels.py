"""What a teacher's config.json says of its classes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import BertConfig

from edgedistill.errors import TeacherError
from edgedistill.problem_type import ONE_LABEL, SEVERAL_LABELS, ProblemType
from edgedistill.teach.labels import label_order, require_same_problem, token_limit, trained_labels


def folder_with(tmp_path: Path, **config: Any) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_label_order_of_a_fine_tuned_teacher_is_its_own(tmp_path: Path) -> None:
    names = {"10": "k", "0": "a", "2": "c", "1": "b"}  # as numbers, not as strings
    folder = folder_with(tmp_path, architectures=["BertForSequenceClassification"], id2label=names)
    assert label_order(folder) == trained_labels(folder) == ("a", "b", "c", "k")


def test_label_order_of_a_teacher_that_knows_its_classes_by_number_is_left_to_the_data(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, architectures=["RobertaForSequenceClassification"], id2label={"0": "LABEL_0", "1": "LABEL_1"})
    assert trained_labels(folder) == ("LABEL_0", "LABEL_1")
    assert label_order(folder) is None


@pytest.mark.parametrize("config", [{"architectures": ["BertModel"], "id2label": {"0": "a", "1": "b"}}, {"architectures": None}, {}])
def test_trained_labels_of_an_encoder_are_none(tmp_path: Path, config: dict[str, Any]) -> None:
    folder = folder_with(tmp_path, **config)
    assert trained_labels(folder) is None
    assert label_order(folder) is None


def test_trained_labels_of_a_binary_classifier_that_transformers_saved_are_its_two(
    make_classifier: Callable[..., Any], tmp_path: Path
) -> None:
    # save_pretrained leaves id2label out where it is the default
    make_classifier("bert", id2label={0: "LABEL_0", 1: "LABEL_1"}, label2id={"LABEL_0": 0, "LABEL_1": 1}).save_pretrained(tmp_path)
    assert "id2label" not in json.loads((tmp_path / "config.json").read_text())
    assert trained_labels(tmp_path) == ("LABEL_0", "LABEL_1")
    assert label_order(tmp_path) is None


@pytest.mark.parametrize(("config", "count"), [({"num_labels": 5}, 5), ({"num_labels": 3, "id2label": None}, 3), ({}, 2)])
def test_trained_labels_when_only_their_number_is_given_then_numbered_as_transformers_does(
    tmp_path: Path, config: dict[str, Any], count: int
) -> None:
    folder = folder_with(tmp_path, architectures=["BertForSequenceClassification"], **config)
    assert trained_labels(folder) == tuple(BertConfig(**config).id2label.values()) == tuple(f"LABEL_{i}" for i in range(count))


def test_trained_labels_when_their_number_is_none_then_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="num_labels is no number"):
        trained_labels(folder_with(tmp_path, architectures=["BertForSequenceClassification"], num_labels="many"))


def test_require_same_problem_when_a_teacher_of_several_labels_meets_one_label_then_says_what_to_type(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, architectures=["BertForSequenceClassification"], problem_type=SEVERAL_LABELS)
    require_same_problem(folder, SEVERAL_LABELS)
    with pytest.raises(TeacherError, match="problem_type is multi_label_classification") as caught:
        require_same_problem(folder, ONE_LABEL)
    assert "data.several_labels=true" in caught.value.hint


def test_require_same_problem_when_a_teacher_of_one_label_meets_several_then_refused(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, architectures=["BertForSequenceClassification"])
    require_same_problem(folder, ONE_LABEL)
    with pytest.raises(TeacherError, match="chooses one class a text") as caught:
        require_same_problem(folder, SEVERAL_LABELS)
    assert 'write "problem_type": "multi_label_classification" into its config.json' in caught.value.hint


@pytest.mark.parametrize("problem", [ONE_LABEL, SEVERAL_LABELS])
def test_require_same_problem_of_an_encoder_takes_both(tmp_path: Path, problem: ProblemType) -> None:
    require_same_problem(folder_with(tmp_path, architectures=["BertModel"], problem_type=SEVERAL_LABELS), problem)


def test_trained_labels_of_a_damaged_config_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{\n"architectures": [}')
    with pytest.raises(TeacherError, match=r"config\.json:2"):
        trained_labels(tmp_path)


def test_trained_labels_of_a_config_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(TeacherError, match="mapping"):
        trained_labels(tmp_path)


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512, "pad_token_id": 0}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "mpnet", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "xlnet", "max_position_embeddings": -1}, None),
        ({"model_type": "other"}, None),
    ],
)
def test_token_limit_is_what_the_positions_allow(tmp_path: Path, config: dict[str, Any], limit: int | None) -> None:
    assert token_limit(folder_with(tmp_path, **config)) == limit


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_token_limit_is_the_longest_text_that_the_model_reads(
    make_classifier: Callable[..., Any], tmp_path: Path, family: str
) -> None:
    import torch

    model = make_classifier(family, max_position_embeddings=20)
    model.save_pretrained(tmp_path)
    limit = token_limit(tmp_path)
    assert limit is not None
    with torch.inference_mode():
        model(input_ids=torch.full((1, limit), 7))
        with pytest.raises((IndexError, RuntimeError)):
            model(input_ids=torch.full((1, limit + 1), 7))
