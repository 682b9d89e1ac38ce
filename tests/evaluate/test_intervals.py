import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from edgedistill.errors import DataError
from edgedistill.evaluate import intervals


def rights(*counts: int) -> tuple[np.ndarray, np.ndarray]:
    """Paired outcomes from the counts both, only first, only second, neither."""
    outcomes = np.repeat([(1, 1), (1, 0), (0, 1), (0, 0)], counts, axis=0).astype(bool)
    return outcomes[:, 0], outcomes[:, 1]


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_equals_newcombe_1998_table_1(hits, n, low, high):
    found = intervals.wilson(hits, n)
    assert (found.value, round(found.low, 4), round(found.high, 4)) == (hits / n, low, high)


@pytest.mark.parametrize("n", [1, 7, 675, 10_000])
def test_wilson_equals_scipy_and_holds_its_value(n):
    for hits in {0, 1, n // 3, n - 1, n}:
        found = intervals.wilson(hits, n)
        expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
        assert 0 <= found.low <= found.value <= found.high <= 1


def test_wilson_of_nothing_is_refused():
    with pytest.raises(DataError, match="no examples"):
        intervals.wilson(0, 0)


def test_macro_f1_interval_is_the_percentiles_of_sklearns_scores_by_class_on_the_same_resamples(monkeypatch):
    monkeypatch.setattr(intervals, "RESAMPLES", 100)
    random = np.random.default_rng(5)
    truth = random.integers(0, 12, 60)  # so few rows a class that resamples lose some
    predicted = np.where(random.random(60) < 0.8, truth, random.integers(0, 12, 60))
    found = intervals.macro_f1_interval(truth, predicted, classes=12, seed=1)
    whole = f1_score(truth, predicted, average=None, labels=range(12))
    scores = []
    for rows in np.random.default_rng(1).integers(0, 60, size=(100, 60)):
        by_class = f1_score(truth[rows], predicted[rows], average=None, labels=range(12), zero_division=0)
        is_there = np.isin(np.arange(12), np.concatenate([truth[rows], predicted[rows]]))
        scores.append(np.where(is_there, by_class, whole).mean())
    assert found.value == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(scores, [2.5, 97.5])))


def test_macro_f1_interval_of_a_model_that_never_answers_a_rare_class_stays_below_a_half():
    found = intervals.macro_f1_interval([0] * 297 + [1] * 3, [0] * 300, classes=2, seed=0)
    assert found.low < found.value == pytest.approx(0.4975, abs=1e-4)
    assert found.value < found.high <= 0.5


def test_macro_f1_interval_of_a_perfect_model_is_a_point():
    found = intervals.macro_f1_interval([0, 1, 2] * 5, [0, 1, 2] * 5, classes=3, seed=0)
    assert (found.low, found.value, found.high) == (1.0, 1.0, 1.0)


def test_macro_f1_interval_depends_on_the_seed_alone():
    truth, predicted = np.arange(90) % 3, np.arange(90) % 4 % 3
    first = intervals.macro_f1_interval(truth, predicted, classes=3, seed=11)
    assert first == intervals.macro_f1_interval(truth, predicted, classes=3, seed=11)
    assert first != intervals.macro_f1_interval(truth, predicted, classes=3, seed=12)


def test_macro_f1_interval_in_many_chunks_is_like_that_in_one(monkeypatch):
    truth, predicted = np.arange(600) % 5, np.where(np.arange(600) % 7 == 0, 0, np.arange(600) % 5)
    whole = intervals.macro_f1_interval(truth, predicted, classes=5, seed=3)
    monkeypatch.setattr(intervals, "_CHUNK_DRAWS", 600 * 7)
    assert intervals.macro_f1_interval(truth, predicted, classes=5, seed=3) == whole


def test_calibration_interval_is_the_percentiles_of_the_textbook_form_on_the_same_resamples():
    random = np.random.default_rng(8)
    confidence = random.uniform(0.4, 1.0, 200)
    is_right = random.random(200) < confidence - 0.2  # overconfident by 0.2

    def error(c, r):
        bins = np.ceil(c * 15)  # the textbook form: bin means, weighted
        return sum(np.mean(bins == m) * abs(r[bins == m].mean() - c[bins == m].mean()) for m in np.unique(bins))

    found = intervals.calibration_interval(confidence, is_right, seed=1)
    errors = [
        error(confidence[rows], is_right[rows])
        for rows in np.random.default_rng(1).integers(0, 200, size=(1000, 200))
    ]
    assert found.value == pytest.approx(error(confidence, is_right))
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(errors, [2.5, 97.5])))


def test_calibration_interval_of_calibrated_models_holds_its_value():
    for seed in range(20):
        random = np.random.default_rng(seed)
        confidence = random.uniform(0.3, 1.0, 300)
        found = intervals.calibration_interval(confidence, random.random(300) < confidence, seed=seed)
        assert found.low <= found.value <= found.high


@pytest.mark.parametrize(
    "interval",
    [
        lambda: intervals.macro_f1_interval([], [], classes=3, seed=0),
        lambda: intervals.calibration_interval([], [], seed=0),
        lambda: intervals.share_interval([]),
        lambda: intervals.paired_difference([], []),
    ],
)
def test_interval_of_no_examples_is_refused(interval):
    with pytest.raises(DataError, match="no examples"):
        interval()


def test_mcnemar_by_hand():
    # 2 * sum of C(22, k) for k = 0 .. 6, over 2^22 = 2 * 110056 / 4194304
    found = intervals.mcnemar(*rights(59, 6, 16, 80))
    assert (found.only_reference_right, found.only_candidate_right) == (6, 16)
    assert found.p_value == pytest.approx(2 * 110056 / 4194304)


@pytest.mark.parametrize("counts", [(10, 0, 0, 3), (0, 4, 4, 0), (0, 0, 0, 0)])
def test_mcnemar_without_a_difference_has_p_1(counts):
    assert intervals.mcnemar(*rights(*counts)).p_value == 1.0


def test_paired_difference_equals_the_published_example():
    # Fagerland, Lydersen and Laake 2017, chapter 8 (Cavo et al. 2012), as R's contingencytables prints it
    found = intervals.paired_difference(*rights(59, 6, 16, 80))
    assert [round(x, 4) for x in (found.value, found.low, found.high)] == [-0.0621, -0.1186, -0.0046]


def test_paired_difference_of_swapped_models_is_mirrored():
    first, second = rights(36, 12, 2, 5)
    one, other = intervals.paired_difference(first, second), intervals.paired_difference(second, first)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


@pytest.mark.parametrize("counts", [(20, 0, 0, 0), (0, 20, 0, 0), (0, 0, 20, 0), (0, 0, 0, 20), (10, 0, 0, 10)])
def test_paired_difference_at_the_edges_stays_in_range(counts):
    found = intervals.paired_difference(*rights(*counts))
    assert -1 <= found.low <= found.value <= found.high <= 1
