"""What a recipe of pictures may not ask for: every setting that would change nothing is refused, with what to type."""

from typing import Any

import pytest

from edgedistill.errors import RecipeError
from edgedistill.recipe import Recipe
from edgedistill.tasks.image_classification.task import ImageClassification

RESNET = {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}


def recipe(**sections: Any) -> Recipe:
    whole = {"id": "x", "task": "image-classification", "data": {"train": "photos"}, "teacher": {"name": "t", "configuration": RESNET}}
    return Recipe.model_validate(whole | sections)


def test_check_when_all_is_of_pictures_then_passes() -> None:
    distillation = {"transfer_set": {"rows": 10, "copies": 3}, "losses": [{"name": "hidden-states"}, {"name": "decoupled-kd"}]}
    ImageClassification().check(recipe(), None)
    ImageClassification().check(recipe(distillation=distillation), None)
    ImageClassification().check(recipe(student={"ladder": "mine.yaml", "rung": "a"}), None)


@pytest.mark.parametrize(("sections", "said", "hint"), [
    ({"distillation": {"transfer_set": {"mixing": 0.5, "words": 5}}}, "transfer_set: words, mixing", "pictures.changes"),
    ({"distillation": {"transfer_set": {"masking": 0.3}}}, "transfer_set: masking", "pictures.changes"),
    ({"distillation": {"losses": [{"name": "hidden-states", "layers": "last"}]}}, "layers is for texts", "take layers out"),
    ({"distillation": {"losses": [{"name": "attentions"}]}}, "attentions is for texts", "hidden-states"),
    ({"teacher": {"name": "t", "max_tokens": 32}}, "teacher.max_tokens", "pictures.side"),
    ({"data": {"train": "d.csv", "text_column": "file"}}, "data.text_column", "pictures: {column: file}"),
    ({"quantization": {"aware": "always"}}, "always is for texts", "--set quantization.aware=auto"),
    ({"student": {"initialisation": "random"}}, "initialisation and aliases are for texts", "take them out"),
    ({"teacher": {"name": "t", "configuration": {**RESNET, "hiden_sizes": [8]}}},
     "ResNetConfig has no hiden_sizes; did you mean 'hidden_sizes'", "resnet has embedding_size, hidden_sizes, depths"),
    ({"teacher": {"name": "t", "configuration": {**RESNET, "model_type": "resnt"}}}, "did you mean 'resnet'", "model_type: resnet"),
    ({"teacher": {"name": "t", "configuration": {"model_type": "focalnet"}}},
     "teacher.configuration: a teacher of the family focalnet cannot be exported to ONNX", "choose another family"),
    ({"teacher": {"name": "t", "configuration": {"model_type": "perceiver"}}},
     "teacher.configuration: a teacher of the family perceiver cannot be fed and exported", "choose another family"),
    ({"teacher": {"name": "./my-vit", "configuration": RESNET}}, "teacher.name: ./my-vit names a folder or a model of the hub",
     "remove teacher.configuration to take ./my-vit"),
    ({"teacher": {"name": "microsoft/resnet-18", "configuration": RESNET}}, "microsoft/resnet-18 names a folder or a model of the hub",
     "remove teacher.configuration to take microsoft/resnet-18"),
    ({"teacher": {"name": "t", "configuration": RESNET, "revision": "main", "allow_hub": True}},
     "teacher: revision, allow_hub would change nothing", "or remove revision, allow_hub"),
    ({"teacher": {"name": "t", "configuration": RESNET, "sha256": "0" * 64}}, "teacher: sha256 would change nothing", "or remove sha256"),
    ({"teacher": {"name": "t", "configuration": RESNET, "package": "p"}}, "teacher: package would change nothing", "or remove package"),
])
def test_check_when_a_setting_would_change_nothing_then_refused_with_what_to_type(
    sections: dict[str, Any], said: str, hint: str
) -> None:
    with pytest.raises(RecipeError) as refused:
        ImageClassification().check(recipe(**sections), None)
    assert said in refused.value.message
    assert hint in refused.value.hint
