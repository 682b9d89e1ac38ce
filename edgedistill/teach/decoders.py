"""Which families read texts from left to right, or write another text, and so cannot be teachers here."""

from pathlib import Path

from edgedistill.errors import TeacherError
from edgedistill.teach.labels import config_of

DECODERS = frozenset({
    "arcee", "bigbird_pegasus", "biogpt", "bloom", "code_llama", "ctrl", "deepseek_v2", "deepseek_v3", "diffllama",
    "doge", "exaone4", "falcon", "gemma", "gemma2", "gemma3", "gemma3_text", "glm", "glm4", "gpt-sw3", "gpt2",
    "gpt_bigcode", "gpt_neo", "gpt_neox", "gpt_oss", "gptj", "helium", "hunyuan_v1_dense", "hunyuan_v1_moe", "jamba",
    "jetmoe", "llama", "minimax", "ministral", "mistral", "mixtral", "modernbert-decoder", "mpt", "nemotron",
    "open-llama", "openai-gpt", "opt", "persimmon", "phi", "phi3", "phimoe", "plbart", "qwen2", "qwen2_moe", "qwen3",
    "qwen3_moe", "qwen3_next", "seed_oss", "smollm3", "stablelm", "starcoder2", "transfo-xl", "xlnet", "zamba", "zamba2",
})
"""transformers' families that have a classifier and generate texts, but fill in no masked words (4.57.6).

Their classifiers read the answer at the last token that is no padding, which our batches do not promise to tell them.
"""

ENCODER_DECODERS = frozenset({
    "bart", "bigbird_pegasus", "led", "mbart", "mt5", "mvp", "plbart", "t5", "t5gemma", "umt5",
})
"""transformers' families of an encoder and a decoder that have a classifier (4.57.6), for a config that does not say so.

Their classifiers answer from the decoder, at the end of the text, and most give no `hidden_states`.
"""

_HINT = "name an encoder or its classifier: a BERT, RoBERTa, DeBERTa, ELECTRA, ..."


def require_encoder(folder: Path) -> None:
    """Refuse a teacher that is a decoder, or has one.

    Raises:
        TeacherError: it is one; or its config.json cannot be read.
    """
    config = config_of(folder)
    family = config.get("model_type")
    if config.get("is_encoder_decoder") is True or family in ENCODER_DECODERS:
        raise TeacherError(f"{folder}: {family or 'this model'} is an encoder-decoder, which answers from its decoder; students "
                           "are made from encoders here", hint=_HINT)
    if family in DECODERS:
        raise TeacherError(f"{folder}: a {family} reads texts from left to right and answers at the last token; students are "
                           "made from encoders here", hint=_HINT)
