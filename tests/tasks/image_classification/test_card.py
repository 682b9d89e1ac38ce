"""The card of a bundle of pictures: what it says of the model goes by the verdict on int8."""

import pytest
import yaml

from edgedistill.package.card import CardFigures
from edgedistill.package.contents import BundleIdentity, PictureInput, PictureVector, PictureVectors, RuntimeBuild, Sizes
from edgedistill.tasks.image_classification.card import PictureCardParts, picture_card


def _card(scheme: str | None) -> str:
    told = PictureInput(side=32, channels=3, mean=(0.5,) * 3, std=(0.25,) * 3, resample=2, compared=4, compared_resized=4,
                        largest_difference=0.0, largest_difference_resized=0.0, added_bytes=10)
    vector = PictureVector(text="a.png", pixels="", logits=(0.0, 1.0), label="b")
    golden = PictureVectors(tolerance=0.1, runtime="onnxruntime 1", architecture="x86_64", side=32, channels=3, mean=told.mean, std=told.std,
                            vectors=(vector,))
    parts = PictureCardParts(told=told, build=RuntimeBuild(command="./build.sh", platform=None, accelerators=()), golden=golden, model_bytes=1234,
                             sizes=Sizes(files_bytes=2000, deflated_bytes=900, deflated={"model.onnx": 567}), rows={"test": 4})
    identity = BundleIdentity("digits", "image-classification", "raspberry-pi", "resnet-48-96", "1.17", scheme=scheme)
    return picture_card(identity, CardFigures(), parts)


@pytest.mark.parametrize(("scheme", "row", "summary", "tags"), [
    ("static_wi8_ai8_per_channel", "model.onnx (int8)", "A distilled int8 image classifier.", ["onnx", "int8", "distillation"]),
    ("float", "model.onnx (float)", "A distilled image classifier in float: the verdict on int8 was to ship float.", ["onnx", "distillation"]),
    (None, "model.onnx", "A distilled image classifier.", ["onnx", "distillation"]),
])
def test_card_when_the_scheme_is_told_then_goes_by_it(scheme: str | None, row: str, summary: str, tags: list[str]) -> None:
    text = _card(scheme)

    assert f"| {row} | 1,234 bytes, compressed 567 |" in text
    assert f"\n{summary}\n" in text
    assert "Modules in `android/` and `ios/` use" in text
    assert "from pictures without labels where the recipe names any" in text
    assert yaml.safe_load(text.split("---")[1])["tags"] == tags
