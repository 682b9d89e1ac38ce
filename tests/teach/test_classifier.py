"""Loading a trained classifier as it is: with the classes that its config.json names, whatever its family puts in."""

from pathlib import Path

import numpy as np
import pytest
from transformers import PvtConfig, PvtForImageClassification

from edgedistill.errors import ArtifactError
from edgedistill.evaluate.torch_model import TorchModel
from edgedistill.teach.classifier import load_trained, names_of


def _pvt(folder: Path) -> Path:
    one_each: dict[str, list[int]] = {name: [1] * 4 for name in ("depths", "num_attention_heads", "mlp_ratios")}
    config = PvtConfig(image_size=32, hidden_sizes=[4] * 4, **one_each, **names_of("abc"))
    config.id2label = names_of("abc")["id2label"]  # its own 1,000 took their place
    PvtForImageClassification(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text("{}", encoding="utf-8")
    return folder


def test_trained_when_the_family_puts_in_its_own_number_of_classes_then_those_of_config_json(tmp_path: Path) -> None:
    folder = _pvt(tmp_path)
    assert load_trained(folder, attn_implementation="eager").config.id2label == {0: "a", 1: "b", 2: "c"}
    assert TorchModel(folder).logits({"pixel_values": np.zeros((2, 3, 32, 32), np.float32)}).shape == (2, 3)


@pytest.mark.parametrize("config", ["{", "[]", '{"model_type": "pvt", "architectures": ["PvtForImageClassification"], "id2label": 7}'])
def test_trained_when_config_json_is_damaged_then_refused_with_what_to_name(config: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    with pytest.raises(ArtifactError) as refused:
        load_trained(tmp_path)
    assert "a model folder that distill or teach made" in refused.value.hint
