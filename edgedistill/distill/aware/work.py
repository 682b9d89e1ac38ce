"""The fine-tuning: the distillation's loss on logits, and the one training loop, on a fake-quantized student."""

import logging
import shutil
from functools import partial
from pathlib import Path

import torch
from transformers import BertForSequenceClassification

from edgedistill.checkpoints import CHECKPOINTS
from edgedistill.distill.aware.parts import Parts, find_parts, read_fusion
from edgedistill.distill.aware.ranges import learn_ranges
from edgedistill.distill.aware.stage import GAIN_FILE, Gain, Inputs, Settings
from edgedistill.distill.aware.student import fake_quantized
from edgedistill.distill.fit import measure_fit
from edgedistill.distill.low_rank_embedding import merge_embedding, split_embedding
from edgedistill.distill.objective import loss_terms, teacher_loss
from edgedistill.distill.stage import CURVE_FILE
from edgedistill.distill.text_sets import LOOKED_AT_ROWS, text_training_set
from edgedistill.examples import read_examples
from edgedistill.manifest import Decision
from edgedistill.objective import LogitObjective
from edgedistill.processes import current_group
from edgedistill.quantize.calibration import Range
from edgedistill.quantize.calibration_rows import draw_rows
from edgedistill.quantize.scheme_names import Scheme, parse_scheme
from edgedistill.results import FitOn, TrainingLog
from edgedistill.soft_labels import read_soft_labels
from edgedistill.stage import Outcome
from edgedistill.tasks.text_classification.encoding import TextEncoder
from edgedistill.torch_setup import quickest_attention, set_up_torch
from edgedistill.training import Schedule, TrainingSet, train

log = logging.getLogger("edgedistill")

_EVALUATIONS = 12


def tune_student(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    """Fine-tune a student with the rounding of a scheme; continues from a checkpoint in `out`.

    Raises:
        TrainingDivergedError: a loss on validation is not finite.
        ArtifactError: the graph is not that of the student, or an example has no soft label.
    """
    set_up_torch()
    scheme = parse_scheme(settings.scheme)
    torch.manual_seed(settings.seed)
    model = BertForSequenceClassification.from_pretrained(
        inputs.student, use_safetensors=True, attn_implementation=quickest_attention()
    )
    split_embedding(model)
    parts = find_parts(model, read_fusion(inputs.graph))
    ranges = _ranges(settings, inputs, model, parts, scheme)
    encoder, soft = TextEncoder.load(inputs.student), read_soft_labels(inputs.soft_labels)
    tables = [read_examples(path) for path in (inputs.train, inputs.transfer, inputs.validation)]
    training = text_training_set(encoder, tables[:2], soft)
    validation = text_training_set(encoder, [tables[2].spread(LOOKED_AT_ROWS)], soft)
    objective = LogitObjective(partial(teacher_loss, settings.distillation))
    objective.terms = partial(loss_terms, settings.distillation)
    with fake_quantized(model, parts, scheme, ranges=ranges):
        before = _fit(model, validation)
        curve = train(model, training, validation, loss=objective, schedule=_schedule(settings), out=out)
        after = _fit(model, validation)
    gain = Gain(scheme=settings.scheme, steps=_best_step(curve), before=before, after=after)
    if current_group().is_main:
        _write(model, inputs.student, out)
        (out / CURVE_FILE).write_text(curve.to_json(), encoding="utf-8")
        (out / GAIN_FILE).write_text(gain.to_json(), encoding="utf-8")
    return Outcome(decisions=(_decision(settings, gain),), scratch=(CHECKPOINTS,))


def _ranges(
    settings: Settings, inputs: Inputs, model: BertForSequenceClassification, parts: Parts, scheme: Scheme
) -> dict[str, Range] | None:
    """Return the fixed ranges of a static scheme, from the rows that the court learns them from."""
    if not scheme.needs_calibration:
        return None
    rows = draw_rows(inputs.train, inputs.student, settings.calibration, seed=settings.seed, soft_labels=inputs.soft_labels)
    return dict(learn_ranges(model.eval(), parts.products, rows, settings.calibration.method))


def _schedule(settings: Settings) -> Schedule:
    distillation = settings.distillation
    return Schedule(
        steps=settings.steps, batch_size=distillation.batch_size, learning_rate=settings.learning_rate,
        warmup_share=distillation.warmup_share, weight_decay=distillation.weight_decay,
        evaluations=min(_EVALUATIONS, settings.steps), patience=_EVALUATIONS, best_by="loss", seed=settings.seed,
    )


def _fit(model: BertForSequenceClassification, validation: TrainingSet) -> FitOn:
    """Return how closely the student, as it computes now, follows its teacher."""
    return measure_fit(model, validation, validation, train_rows=len(validation)).validation


def _best_step(curve: TrainingLog) -> int:
    """Return the step whose weights were kept: that of the least loss on validation."""
    return min((point.validation_loss, point.step) for point in curve.points if point.validation_loss is not None)[1]


def _write(model: BertForSequenceClassification, source: Path, out: Path) -> None:
    merge_embedding(model)
    model.save_pretrained(out, safe_serialization=True)
    for file in source.glob("*token*.json"):
        shutil.copyfile(file, out / file.name)


def _decision(settings: Settings, gain: Gain) -> Decision:
    before, after = gain.before, gain.after
    return Decision(
        step="distill-aware",
        what=f"fine-tuned for {settings.scheme}: {settings.steps} steps with its rounding at a learning rate of "
             f"{settings.learning_rate:g}, the best after {gain.steps}",
        why=f"with that rounding KL to the teacher on validation went from {before.kl_nats:.3f} to {after.kl_nats:.3f} nats, the "
            f"same answers from {before.agreement:.1%} to {after.agreement:.1%}",
    )
