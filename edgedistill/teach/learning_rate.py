"""At which rates an encoder of texts is fine-tuned where the recipe does not say. Reads config.json, needs no torch."""

from pathlib import Path

from edgedistill.manifest import Decision
from edgedistill.recipe import FineTuning
from edgedistill.teach.labels import config_of, trained_labels

TUNED_WIDTH = 384
"""The width that the recipe's default was tuned at, that of all-MiniLM-L6-v2."""

_FIELD = "learning_rate"
_DEFAULT: float = FineTuning.model_fields[_FIELD].default
_SLOWER = 3
"""The second rate is the first over this. Some sets are better off with it, and neither rows nor classes say which (ADR 24)."""
_WIDTHS = ("hidden_size", "dim", "d_model", "n_embd", "emb_dim")
"""What the families call the width, in the order in which they are looked for."""


def encoder_width(folder: Path) -> int | None:
    """Return how many numbers an encoder has for each token; None where its config.json does not say.

    Raises:
        TeacherError: config.json is missing or damaged.
    """
    config = config_of(folder)
    return next((config[name] for name in _WIDTHS if isinstance(config.get(name), int) and config[name] > 0), None)


def rate_for(width: int | None) -> float:
    """Return the peak of the schedule for an encoder of a width, in three digits: 1.5e-4 x min(1, (384 / width)^2).

    That is 3.75e-5 at 768 and 2.11e-5 at 1024, within the 2e-5 to 5e-5 of Devlin et al. 2019 ("BERT", appendix A.3).

    Args:
        width: of the encoder; None, not known, gives the recipe's default.
    """
    if width is None or width <= TUNED_WIDTH:
        return _DEFAULT
    return float(f"{_DEFAULT * (TUNED_WIDTH / width) ** 2:.3g}")


def rates_for(width: int | None) -> tuple[float, float]:
    """Return the two peaks among which validation chooses: that of the width, and a third of it. (1.5e-4, 5e-5) at 384."""
    rate = rate_for(width)
    return rate, float(f"{rate / _SLOWER:.3g}")


def settled_tuning(tuning: FineTuning, folder: Path) -> FineTuning:
    """Return the fine-tuning with the learning rates that suit a teacher's width, where the recipe gives none.

    A teacher that is fine-tuned already needs none: what the recipe says stays.

    Raises:
        TeacherError: config.json is missing or damaged.
    """
    if _FIELD in tuning.model_fields_set or tuning.learning_rates or trained_labels(folder) is not None:
        return tuning
    rates = rates_for(encoder_width(folder))
    return tuning.model_copy(update={_FIELD: rates[0], "learning_rates": rates})


def rate_decisions(tuning: FineTuning, folder: Path) -> tuple[Decision, ...]:
    """Return the decision that a wide encoder is fine-tuned slower; none where the rates are others, or it is not wide."""
    width = encoder_width(folder)
    if rate_for(width) == _DEFAULT or tuning.learning_rates != rates_for(width):
        return ()
    rates = " and ".join(f"{rate:g}" for rate in tuning.learning_rates)
    why = (f"{_DEFAULT:g} suits one of {TUNED_WIDTH}, and wider ones need less: {_DEFAULT:g} x ({TUNED_WIDTH} / {width})^2 and a "
           "third of it; --set teacher.fine_tuning.learning_rate=RATE takes one of your own")
    return (Decision(step="teach", what=f"learning rates {rates}: the encoder is {width} wide", why=why),)
