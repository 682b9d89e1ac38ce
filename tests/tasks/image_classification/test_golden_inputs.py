"""What the bundle's own check feeds a model for a golden picture."""

import base64

import numpy as np
import pytest

from edgedistill.package.standalone_verify import picture_inputs
from edgedistill.plan import PictureSize
from edgedistill.tasks.image_classification.encoding import Preprocessing, as_inputs


@pytest.mark.parametrize(("mean", "std"), [((0.5,), (0.5,)), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
def test_picture_inputs_are_those_of_training_to_the_last_bit(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    pixels = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), len(mean), axis=2)
    golden = {"side": 16, "channels": len(mean), "mean": mean, "std": std}
    fed = picture_inputs({"pixels": base64.b64encode(pixels.tobytes()).decode()}, golden, is_raw=False)
    expected = as_inputs(pixels[None], Preprocessing(PictureSize(16, len(mean)), mean, std))
    np.testing.assert_array_equal(fed["pixel_values"], expected)
