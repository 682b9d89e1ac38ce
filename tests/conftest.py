"""Tiny transformers models, a tokenizer and texts that many tests share; torch is imported only where a fixture needs it."""

import json
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from edgedistill.emulation.environment import Environment, ensure
from edgedistill.errors import MissingDependencyError

os.environ["EDGEDISTILL_CACHE"] = "/dev/null/edgedistill"  # tests see no emulated environment, and cannot build one there
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch starts: models this small are slower on more threads

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
KEY_WORDS = {"light": ("lamp", "light", "bulb", "glow"), "music": ("song", "radio", "tune", "band"),
             "weather": ("rain", "snow", "wind", "sun")}
FILLERS = ("please", "the", "now", "turn", "some", "is", "it", "up", "down", "off", "on", "kitchen", "garden", "today",
           "soft", "loud", "bright", "cold", "warm", "quick")
PIECES = ("##s", "##ing", "##er", "##ed", "##y", "##ly", "##est", "a", "b", "e", "i", "o", "u", "##a", "##e", "##o", ",", "?")
LABELS = tuple(KEY_WORDS)
MAX_TOKENS = 16


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where EDGEDISTILL_REQUIRE_ARM is set, as in continuous integration, a test of the marker `arm` may not be skipped."""
    report = yield
    if report.skipped and os.environ.get("EDGEDISTILL_REQUIRE_ARM") and item.get_closest_marker("arm"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"EDGEDISTILL_REQUIRE_ARM is set, and this was skipped. {reason}"
    return report


@pytest.fixture(scope="module")
def emulated_environment() -> Iterator[Environment]:
    """This user's emulated environment, for tests of the marker `arm`; built when it is not there, skipped where it cannot be."""
    kept = os.environ.pop("EDGEDISTILL_CACHE")
    try:
        yield ensure()
    except MissingDependencyError as missing:
        pytest.skip(f"no emulated environment: {missing.message}")
    finally:
        os.environ["EDGEDISTILL_CACHE"] = kept


@pytest.fixture(scope="session")
def labels() -> tuple[str, ...]:
    return LABELS


@pytest.fixture(scope="session")
def vocabulary() -> dict[str, int]:
    """A WordPiece vocabulary of 55 tokens; no two words of the texts share a piece."""
    tokens = [*SPECIAL, *(word for group in KEY_WORDS.values() for word in group), *FILLERS, *PIECES]
    return {token: index for index, token in enumerate(tokens)}


@pytest.fixture(scope="session")
def wordpiece_json(vocabulary: dict[str, int]) -> str:
    """A tokenizer.json as transformers writes it for BERT."""
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer.to_str()


@pytest.fixture(scope="session")
def rows() -> Callable[..., tuple[list[str], list[int]]]:
    """A function that draws distinct texts of 1 to 9 words with their labels; one word says the class."""

    def draw(n: int, *, seed: int) -> tuple[list[str], list[int]]:
        random = np.random.default_rng(seed)
        texts: dict[str, int] = {}
        while len(texts) < n:
            label = int(random.integers(len(LABELS)))
            row = [FILLERS[i] for i in random.integers(0, len(FILLERS), random.integers(0, 9))]
            row.insert(int(random.integers(len(row) + 1)), KEY_WORDS[LABELS[label]][random.integers(4)])
            texts[" ".join(row)] = label
        return list(texts), list(texts.values())

    return draw


@pytest.fixture(scope="session")
def write_tokenizer_files(wordpiece_json: str) -> Callable[[Path], None]:
    """A function that makes a folder a loadable tokenizer."""

    def write(folder: Path) -> None:
        (folder / "tokenizer.json").write_text(wordpiece_json, encoding="utf-8")
        names = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")}
        content = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": MAX_TOKENS, **names}
        (folder / "tokenizer_config.json").write_text(json.dumps(content), encoding="utf-8")

    return write


@pytest.fixture(scope="session")
def tiny_config(vocabulary: dict[str, int]) -> Callable[..., Any]:
    """A function that gives the configuration of a 2-layer model of width 32 of a family of transformers."""

    def make(family: str = "bert", **changes: Any) -> Any:
        from transformers import BertConfig, DistilBertConfig, RobertaConfig

        names = {"id2label": dict(enumerate(LABELS)), "label2id": {name: i for i, name in enumerate(LABELS)}}
        common = {"vocab_size": len(vocabulary), "initializer_range": 0.3, **names}
        like_bert = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
                     "max_position_embeddings": 40}
        if family == "bert":
            return BertConfig(**common | like_bert | {"pad_token_id": 0} | changes)
        if family == "roberta":
            return RobertaConfig(**common | like_bert | {"pad_token_id": 0} | changes)
        return DistilBertConfig(**common | {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64,
                                            "max_position_embeddings": 40, "pad_token_id": 0} | changes)

    return make


@pytest.fixture(scope="session")
def make_classifier(tiny_config: Callable[..., Any]) -> Callable[..., Any]:
    """A function that builds a classifier with random weights."""

    def make(family: str = "bert", *, seed: int = 0, **changes: Any) -> Any:
        import torch
        from transformers import AutoModelForSequenceClassification

        torch.manual_seed(seed)
        return AutoModelForSequenceClassification.from_config(tiny_config(family, **changes)).eval()

    return make


@pytest.fixture(scope="session")
def model_folder(
    make_classifier: Callable[..., Any], write_tokenizer_files: Callable[[Path], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Path]:
    """A function that gives the folder of a random classifier of a family; made once, not to be changed."""
    made: dict[str, Path] = {}

    def folder_of(family: str = "bert") -> Path:
        if family not in made:
            made[family] = tmp_path_factory.mktemp(family)
            make_classifier(family).save_pretrained(made[family])
            write_tokenizer_files(made[family])
        return made[family]

    return folder_of
