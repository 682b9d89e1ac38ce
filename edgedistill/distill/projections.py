"""The learned matrices between a student's states and its teacher's (TinyBERT's W_e and W_h), and where they start."""

from collections.abc import Mapping

import torch

EMBEDDING, LAYERS, SENTENCE = "embedding", "layers", "sentence-vectors"
_RIDGE = 1e-4
"""Of the mean square of a channel: keeps channels that the sample hardly uses from getting huge weights."""


def make_projections(student_width: int, teacher_width: int, *, seed: int) -> torch.nn.ParameterDict:
    """Make W_e of the embedding and W_h of the layers, each shape (student width, teacher width), orthogonal, seeded.

    One matrix serves all layers, as in the paper: they write into one residual stream. A generator of its own leaves
    the training's random numbers as they are without it.

    Reference: Jiao et al. 2020, equations 9 and 8.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.ParameterDict({
        name: torch.nn.init.orthogonal_(torch.empty(student_width, teacher_width), generator=generator)
        for name in (EMBEDDING, LAYERS)
    })


class LeastSquares:
    """Sums over tokens from which the best matrices between two sets of states are found; memory does not grow."""

    def __init__(self) -> None:
        self._gram: dict[str, torch.Tensor] = {}
        self._cross: dict[str, torch.Tensor] = {}

    def add(self, name: str, student: torch.Tensor, teacher: torch.Tensor) -> None:
        """Add tokens: student states (tokens, student width), the teacher's (tokens, teacher width)."""
        ours, theirs = student.double(), teacher.double()
        self._gram[name] = ours.T @ ours + self._gram.get(name, 0.0)
        self._cross[name] = ours.T @ theirs + self._cross.get(name, 0.0)

    def solve(self) -> Mapping[str, torch.Tensor]:
        """Return, by name, the matrix W of least squared error of `student @ W` against the teacher, float32."""
        found = {}
        for name, gram in self._gram.items():
            found[name] = _solve(gram, self._cross[name])
        return found


def sentence_projection(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return the matrix and offset a view that bring a student's sentence vectors nearest to its teacher's.

    Args:
        student: shape (n, views, student width).
        teacher: reduced vectors, shape (n, views, dimensions).

    Returns:
        shape (views, student width + 1, dimensions), float32; the offset is the last row.
    """
    ours = torch.cat([student, torch.ones_like(student[..., :1])], dim=-1).double().transpose(0, 1)
    theirs = teacher.double().transpose(0, 1)
    return torch.stack([_solve(view.T @ view, view.T @ target) for view, target in zip(ours, theirs, strict=True)])


def _solve(gram: torch.Tensor, cross: torch.Tensor) -> torch.Tensor:
    ridge = _RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    found: torch.Tensor = torch.linalg.solve(gram + ridge, cross)
    return found.float()
