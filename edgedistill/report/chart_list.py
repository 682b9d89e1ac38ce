"""All charts of a target, by the name that the page knows them by."""

from edgedistill.report import charts, charts_answers, charts_search, charts_training
from edgedistill.report.figure import Chart, NoChart
from edgedistill.report.model import TargetReport
from edgedistill.report.wording import has_several_labels


def of_target(target: TargetReport) -> dict[str, Chart | NoChart]:
    """Return a chart, or why there is none, for every name that the page asks for: no confusion of several labels."""
    return {
        "size": charts.accuracy_over_size(target),
        "latency": charts.accuracy_over_latency(target),
        "distributions": charts.latency_distributions(target),
        "reliability": charts.reliability(target),
        "frontier": charts_search.frontier_over_size(target),
        "frontier-latency": charts_search.frontier_over_latency(target),
        "accuracy": charts_training.training_accuracy(target),
        "terms": charts_training.student_losses(target),
        "loss": charts_training.training_loss(target),
        **({} if has_several_labels(target) else {"confusion": charts_answers.confusion(target)}),
    }
