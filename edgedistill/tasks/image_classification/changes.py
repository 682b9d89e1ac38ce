"""Changed pictures: moved, turned, zoomed, mirrored, and two mixed into one. Every picture follows from the seed and its number.

A copy is not stored: it is made when the teacher labels it and again when the student sees it, so that both see the same
pixels (consistent teaching, Beyer et al. 2022, section 2) and the disk does not bound how many there are. Mixed pictures
(mixup, Zhang et al. 2018; cutmix, Yun et al. 2019) get the teacher's answer in place of a mixed label.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from edgedistill.picture_settings import PictureChanges
from edgedistill.tasks.image_classification.encoding import Preprocessing, as_inputs
from edgedistill.tasks.image_classification.pictures import Pixels

_DRAWS = 12
"""Random numbers a picture: flip, two shifts, angle, zoom, contrast, brightness, kind of mix, partner, share, two places."""

_STEPS = _DRAWS // 2
"""Of numpy's PCG64 a picture: a step gives 64 bits, which are two numbers of 32."""

_KEPT_BYTES = 2**27
"""Of random numbers that are kept, at most. Drawing a copy of all pictures at once is quick, one picture's numbers are not."""

_ORDER = 1
"""Added to the seed of a copy, so that its order does not follow from its draws."""

_BETA_SHARE = (0.2, 0.8)
"""A mixed picture has between a fifth and four fifths of its first part, evenly drawn: a share near 0 or 1 mixes nothing."""


@dataclass(frozen=True)
class Changer:
    """Makes changed copies of pictures. Copy `c` of picture `i` is number `c * n + i`, and looks the same whenever it is made.

    (With several threads and sides of 160 and more, a pixel may be another by one level of 255: the mean of a single picture,
    for its contrast, is then summed up in another order.)

    Attributes:
        pixels: n pictures.
        kinds: what may become of them.
        seed: of all draws.
        is_mixing: are two pictures mixed into one, as `kinds` has it?
        stream: which of many series of draws of the seed.
    """

    pixels: Pixels
    kinds: PictureChanges
    seed: int
    is_mixing: bool
    stream: tuple[int, ...] = ()
    _draws: dict[int, NDArray[np.float32]] = field(default_factory=dict, repr=False, compare=False)

    def make(self, numbers: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the copies of these numbers, shape (len(numbers), side, side, channels)."""
        wanted = np.asarray(numbers, np.int64)
        draws = self._draws_of(wanted)
        made = self._moved(self.pixels.take(wanted % len(self.pixels)), draws)
        is_mixed = draws[:, 7] < self._share_mixed
        if is_mixed.any():
            draws = draws[is_mixed]
            partners = np.minimum((draws[:, 8] * len(self.pixels)).astype(np.int64), len(self.pixels) - 1)
            made[is_mixed] = mixed(made[is_mixed], self._moved(self.pixels.take(partners), 1 - draws), draws, self.kinds)
        return made

    def first(self, rows: int) -> NDArray[np.int64]:
        """Return the numbers of `rows` copies: all first copies, then all second ones, each time in another order.

        So where `rows` ends within a copy, every class has its share in it, though a folder lies class by class.
        """
        pictures = len(self.pixels)
        copies = range(-(-rows // pictures)) if pictures else range(0)
        orders = [copy * pictures + self._generator(copy, _ORDER).permutation(pictures) for copy in copies]
        return np.concatenate([np.zeros(0, np.int64), *orders])[:rows]

    def is_mixed(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of the copies of these numbers show two pictures, shape (len(numbers),)."""
        copies, rows = np.divmod(numbers, max(1, len(self.pixels)))
        found = np.zeros(len(numbers), np.bool_)
        for copy in np.unique(copies):
            is_here = copies == copy
            found[is_here] = self._draws_of_copy(int(copy))[rows[is_here], 7] < self._share_mixed
        return found

    @property
    def _share_mixed(self) -> float:
        return self.kinds.mixup + self.kinds.cutmix if self.is_mixing else 0.0

    def _draws_of(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the random numbers of some copies, shape (len(numbers), draws), 0 to 1.

        Each copy of all pictures has a generator of its own, of which picture `i` has the numbers from `i * _DRAWS` on.
        """
        draws = np.empty((len(numbers), _DRAWS), np.float32)
        for place, number in enumerate(numbers.tolist()):
            copy, row = divmod(number, len(self.pixels))
            draws[place] = self._kept_draws(copy)[row] if copy < self._copies_kept else self._draws_of_one(copy, row)
        return draws

    @property
    def _copies_kept(self) -> int:
        return _KEPT_BYTES // (len(self.pixels) * _DRAWS * np.dtype(np.float32).itemsize)

    def _kept_draws(self, copy: int) -> NDArray[np.float32]:
        if copy not in self._draws:
            self._draws[copy] = self._draws_of_copy(copy)
        return self._draws[copy]

    def _draws_of_copy(self, copy: int) -> NDArray[np.float32]:
        return self._generator(copy).random((len(self.pixels), _DRAWS), dtype=np.float32)

    def _draws_of_one(self, copy: int, row: int) -> NDArray[np.float32]:
        generator = self._generator(copy)
        generator.bit_generator.advance(row * _STEPS)  # type: ignore[attr-defined]
        return generator.random(_DRAWS, dtype=np.float32)

    def _generator(self, copy: int, *what: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64([self.seed, copy, *self.stream, *what]))

    def _moved(self, pixels: NDArray[np.uint8], draws: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Shift, turn, zoom and mirror by one bilinear sampling; what comes in from outside repeats the edge."""
        kinds = self.kinds
        signed = torch.from_numpy(2 * draws - 1)
        angle = signed[:, 3] * math.radians(kinds.rotation_degrees)
        zoom = 1 + signed[:, 4] * kinds.zoom
        mirror = torch.where(torch.from_numpy(draws[:, 0] < 0.5), -1.0, 1.0) if kinds.flip else torch.ones(len(draws))
        cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
        # in affine_grid's coordinates the side is 2 long
        across, down = 2 * kinds.shift * signed[:, 1], 2 * kinds.shift * signed[:, 2]
        rows = (torch.stack([mirror * cosine, -sine, across], 1), torch.stack([mirror * sine, cosine, down], 1))
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
        grid = torch.nn.functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
        moved = torch.nn.functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
        if kinds.contrast:
            gain = (1 + signed[:, 5] * kinds.contrast)[:, None, None, None]
            mean = moved.mean(dim=(1, 2, 3), keepdim=True)
            moved.sub_(mean).mul_(gain).add_(mean * (1 + signed[:, 6] * kinds.contrast)[:, None, None, None])
        return np.asarray(moved.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy())


def mixed(
    first: NDArray[np.uint8], second: NDArray[np.uint8], draws: NDArray[np.float32], kinds: PictureChanges
) -> NDArray[np.uint8]:
    """Return pictures of which a share is mixed with another.

    Args:
        first: shape (n, side, side, channels).
        second: the other pictures, the same shape.
        draws: shape (n, 12), 0 to 1; columns 7 and 9 to 11 count.
        kinds: the shares of mixup and cutmix.
    """
    low, high = _BETA_SHARE
    share = low + (high - low) * draws[:, 9]
    is_mixup = draws[:, 7] < kinds.mixup
    is_cutmix = ~is_mixup & (draws[:, 7] < kinds.mixup + kinds.cutmix)
    weight = share[:, None, None, None]
    blended = np.rint(weight * first + (1 - weight) * second).astype(np.uint8)
    made = np.where(is_mixup[:, None, None, None], blended, first)
    is_inside = _rectangles(first.shape[1], share, draws) & is_cutmix[:, None, None]
    return np.asarray(np.where(is_inside[..., None], second, made))


def _rectangles(side: int, share: NDArray[np.float32], draws: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Mark squares of the area that is not the first picture's, anywhere in the picture, shape (n, side, side)."""
    length = np.maximum(1, np.rint(side * np.sqrt(1 - share))).astype(np.int64)
    top, left = ((draws[:, column] * (side - length + 1)).astype(np.int64) for column in (10, 11))
    places = np.arange(side)
    in_rows = (places >= top[:, None]) & (places < (top + length)[:, None])
    in_columns = (places >= left[:, None]) & (places < (left + length)[:, None])
    return np.asarray(in_rows[:, :, None] & in_columns[:, None, :])


@dataclass(frozen=True)
class ChangedPictures:
    """Pictures and changed copies of them as model inputs; a copy is made when a batch asks for it, and is not stored.

    Attributes:
        changer: makes the copies.
        how: what the model takes.
        numbers: shape (rows,): below n the changer's pictures as they are, from n on its copies, beginning with number 0.
        taught: what a teacher takes that is asked in every step, of the same pictures; None: none is.
    """

    changer: Changer
    how: Preprocessing
    numbers: NDArray[np.int64]
    taught: Preprocessing | None = None

    @classmethod
    def all_of(cls, changer: Changer, how: Preprocessing, *, copies: int) -> Self:
        """Return each picture as it is, and then so many copies of each."""
        return cls(changer, how, np.arange(len(changer.pixels) * (1 + copies)))

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Pixels of each picture as stored: all alike."""
        return np.full(len(self), self.changer.pixels.size.side**2, np.int64)

    def batch(self, indices: Sequence[int] | NDArray[np.int64]) -> Mapping[str, NDArray[np.float32]]:
        """Return `pixel_values`, shape (batch, channels, side, side), float32; and `teacher_pixel_values` where one is taught."""
        chosen = self.numbers[np.asarray(indices, np.int64)]
        plain = len(self.changer.pixels)
        found = self.changer.pixels.take(np.where(chosen < plain, chosen, 0))
        is_copy = chosen >= plain
        if is_copy.any():
            found = found.copy()
            found[is_copy] = self.changer.make(chosen[is_copy] - plain)
        inputs = {"pixel_values": as_inputs(found, self.how)}
        return inputs if self.taught is None else inputs | {"teacher_pixel_values": as_inputs(found, self.taught)}
