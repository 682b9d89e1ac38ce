"""Vectors of whole texts: the student's, through a learned map, against the teacher's reduced ones."""

import torch


def sentence_vector_loss(student: torch.Tensor, teacher: torch.Tensor, *, projection: torch.Tensor) -> torch.Tensor:
    """Squared error of the mapped student vectors, summed over dimensions, averaged over views and batch.

    As a view of the teacher has variance 1 in all, the value is the share of it that the student does not explain: 1 for
    a student that knows the mean only.

    Args:
        student: shape (batch, views, student width).
        teacher: reduced vectors, shape (batch, views, dimensions).
        projection: a matrix a view and its offset in the last row, shape (views, student width + 1, dimensions).

    Returns:
        a scalar >= 0.

    Raises:
        ValueError: shapes that do not fit.

    Reference: Romero et al. 2015, "FitNets: Hints for Thin Deep Nets", equation 3, on the states that Sun et al. 2019,
    "Patient Knowledge Distillation for BERT Model Compression", compare in equation 7 (there after normalisation).
    """
    views, width, dimensions = projection.shape
    if student.shape[1:] != (views, width - 1) or teacher.shape != (len(student), views, dimensions):
        raise ValueError(f"student {tuple(student.shape)}, teacher {tuple(teacher.shape)} and projection "
                         f"{tuple(projection.shape)} do not fit")
    mapped = torch.einsum("bvw,vwd->bvd", student, projection[:, :-1]) + projection[:, -1]
    return (mapped - teacher).square().sum(-1).mean()
