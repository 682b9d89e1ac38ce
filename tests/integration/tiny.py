"""A tiny problem that the whole line solves in seconds: three classes, a random teacher of two layers."""

import json
import random
from pathlib import Path

WORDS = {
    "greet": "hello hi morning evening welcome greetings howdy salute hey cheers".split(),
    "leave": "bye goodbye farewell later night leaving gone parting ciao adieu".split(),
    "thank": "thanks grateful thankful appreciate obliged gracious kind bless owe debt".split(),
}
FILLER = "to you my dear friend and all the people of this fine old town today my".split()


def write_data(folder: Path) -> None:
    """Write train, validation and test .tsv of three classes."""
    rng = random.Random(7)
    seen: set[str] = set()
    for split, rows in (("train", 40), ("validation", 15), ("test", 20)):
        lines = ["label\ttext"]
        for label, words in WORDS.items():
            made = 0
            while made < rows:
                text = " ".join(rng.sample(words, rng.randint(1, 3)) + rng.sample(FILLER, rng.randint(1, 6)))
                if text not in seen:
                    seen.add(text)
                    lines.append(f"{label}\t{text}")
                    made += 1
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_teacher(folder: Path) -> None:
    """Write a random BERT encoder with a WordPiece tokenizer over the words of the data."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = sorted({w for row in WORDS.values() for w in row} | set(FILLER))
    pieces = [c for c in "abcdefghijklmnopqrstuvwxyz"] + [f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz"]
    unused = [f"[unused{i}]" for i in range(1000)]
    vocabulary = {token: i for i, token in enumerate([*special, *unused, *pieces, *words])}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_max_length=64,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(vocabulary), hidden_size=64, num_hidden_layers=2, num_attention_heads=2,
                        intermediate_size=256, max_position_embeddings=64)
    BertModel(config).save_pretrained(folder)


def write_recipe(folder: Path, **changes: object) -> Path:
    """Write data, teacher and recipe below a folder and return the recipe's path."""
    write_data(folder)
    write_teacher(folder / "teacher")
    recipe = {
        "schema_version": 1,
        "id": "tiny",
        "task": "text-classification",
        "data": {"train": "train.tsv", "validation": "validation.tsv", "test": "test.tsv"},
        "teacher": {"name": "teacher", "max_tokens": 32,
                    "fine_tuning": {"epochs": 12, "learning_rate": 0.002, "batch_size": 16}},
        "student": {"rung": "bert-2x64"},
        "distillation": {"rows_seen": 6000, "batch_size": 32, "transfer_set": {"rows": 600, "copies": 6}},
        "benchmark": {"min_runs": 20, "min_duration_s": 0.05, "warmup_runs": 3, "rounds": 2},
        "goals": [{"metric": "accuracy", "type": "max-degradation", "value": 0.2}],
        "seed": 3,
    }
    recipe.update(changes)
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe), encoding="utf-8")  # JSON is YAML
    return path
