"""Changed pictures: the same from the same seed, the kinds do what they say, mixing mixes two."""

import numpy as np
import pytest

from edgedistill.picture_settings import PictureChanges
from edgedistill.plan import PictureSize
from edgedistill.tasks.image_classification import changes
from edgedistill.tasks.image_classification.changes import ChangedPictures, Changer, mixed
from edgedistill.tasks.image_classification.encoding import Preprocessing
from edgedistill.tasks.image_classification.pictures import Pixels

NONE = {"shift": 0, "rotation_degrees": 0, "zoom": 0, "contrast": 0, "mixup": 0, "cutmix": 0}


def pixels(rows: int = 5, side: int = 8) -> Pixels:
    values = np.random.default_rng(3).integers(0, 256, (rows, side, side, 1), dtype=np.uint8)
    return Pixels((values,), PictureSize(side, 1))


def changer(*, is_mixing: bool = False, seed: int = 1, **kinds: float) -> Changer:
    return Changer(pixels(), PictureChanges(**{**NONE, **kinds}), seed, is_mixing=is_mixing)


def test_make_when_nothing_may_change_then_the_pictures_themselves() -> None:
    np.testing.assert_array_equal(changer().make(range(5)), pixels().parts[0])


def test_make_when_asked_in_another_order_then_the_same_pictures() -> None:
    wanted = changer(shift=0.2, rotation_degrees=20, zoom=0.2, contrast=0.3)
    forth, back = wanted.make(range(10)), wanted.make(range(9, -1, -1))
    np.testing.assert_array_equal(forth, back[::-1])
    assert not np.array_equal(forth[:5], forth[5:])
    assert not np.array_equal(forth, changer(shift=0.2, seed=2).make(range(10)))


def test_make_when_flipping_then_a_picture_or_its_mirror() -> None:
    made = changer(flip=True).make(range(50))
    plain = np.tile(pixels().parts[0], (10, 1, 1, 1))
    is_same = (made == plain).all(axis=(1, 2, 3))
    is_mirror = (made == plain[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (is_same | is_mirror).all()
    assert 10 < is_mirror.sum() < 40


def test_make_when_the_draws_are_not_kept_then_the_same_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"shift": 0.2, "rotation_degrees": 20, "mixup": 0.5}
    kept = changer(is_mixing=True, **wanted).make(range(40))
    monkeypatch.setattr(changes, "_KEPT_BYTES", 2 * 5 * 12 * 4)  # two of the eight copies
    np.testing.assert_array_equal(changer(is_mixing=True, **wanted).make(range(40)), kept)


def test_first_when_rows_bind_then_every_class_has_its_share_though_the_pictures_lie_class_by_class() -> None:
    shades = np.repeat(np.array([0, 255], np.uint8), 500)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
    copier = Changer(Pixels((shades,), PictureSize(4, 1)), PictureChanges(**NONE), 13, is_mixing=False)
    is_white = copier.make(copier.first(1300))[:, 0, 0, 0] == 255
    assert is_white[:1000].sum() == 500  # a whole copy has every picture once
    assert 110 < is_white[1000:].sum() < 190
    assert not np.array_equal(is_white[:300], is_white[1000:])
    np.testing.assert_array_equal(copier.first(1300), copier.first(1500)[:1300])


def test_first_when_whole_copies_are_asked_for_then_each_number_once() -> None:
    assert sorted(changer().first(15)) == list(range(15))
    assert len(changer().first(0)) == 0


def test_is_mixed_when_some_are_then_those_that_differ_from_the_copy_of_one_picture() -> None:
    kinds = {"shift": 0.2, "mixup": 0.3, "cutmix": 0.2}
    numbers = np.arange(200)
    differs = (changer(is_mixing=True, **kinds).make(numbers) != changer(**kinds).make(numbers)).any(axis=(1, 2, 3))
    said = changer(is_mixing=True, **kinds).is_mixed(numbers)
    assert not (differs & ~said).any()
    assert 0.4 < said.mean() < 0.6
    assert differs.sum() > 0.7 * said.sum()  # a picture may be mixed with itself
    assert not changer(**kinds).is_mixed(numbers).any()


@pytest.mark.parametrize(("mixup", "cutmix"), [(1.0, 0.0), (0.0, 1.0)])
def test_mixed_when_black_and_white_then_between_a_fifth_and_four_fifths_white(mixup: float, cutmix: float) -> None:
    black, white = np.zeros((200, 16, 16, 1), np.uint8), np.full((200, 16, 16, 1), 255, np.uint8)
    draws = np.random.default_rng(0).random((200, 12), dtype=np.float32)
    kinds = PictureChanges(mixup=mixup, cutmix=cutmix)
    share = mixed(black, white, draws, kinds).mean(axis=(1, 2, 3)) / 255
    assert share.min() > 0.15
    assert share.max() < 0.85
    is_blended = np.isin(mixed(black, white, draws, kinds), (0, 255), invert=True).any()
    assert is_blended == (mixup == 1.0)


def test_changed_pictures_when_below_n_then_as_they_are() -> None:
    how = Preprocessing(PictureSize(8, 1), (0.0,), (1.0,))
    changed = ChangedPictures.all_of(changer(shift=0.3), how, copies=2)
    assert len(changed) == 15
    batch = changed.batch([4, 14, 0])["pixel_values"]
    np.testing.assert_allclose(batch[0, 0] * 255, pixels().parts[0][4, ..., 0], atol=1e-3)
    np.testing.assert_allclose(batch[1, 0] * 255, changed.changer.make([9])[0, ..., 0], atol=1e-3)
    chosen = ChangedPictures(changed.changer, how, np.array([14, 4]))
    assert len(chosen) == len(chosen.lengths) == 2
    np.testing.assert_array_equal(chosen.batch([1, 0])["pixel_values"], batch[:2])
