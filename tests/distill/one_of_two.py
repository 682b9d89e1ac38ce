"""One of two processes that share a step of a student with losses on internals: python one_of_two.py RANK FOLDER.

Both take one text of the batch; rank 0 alone takes both texts without any sharing first. Writes the gradients.
"""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch.nn.parallel import DistributedDataParallel
from transformers import BertConfig, BertForSequenceClassification

from edgedistill.distill.losses import hard_label_loss
from edgedistill.distill.objective import GuidedObjective
from edgedistill.objective import TrainingBatch, learned_beside
from edgedistill.recipe import LossTerm

NAMES = ("input_ids", "attention_mask", "token_type_ids")
IDS = torch.tensor([[2, 8, 9, 10, 3], [2, 11, 12, 3, 0]])
TENSORS = {"input_ids": IDS, "attention_mask": (IDS != 0).long(), "token_type_ids": IDS * 0, "labels": torch.tensor([1, 2]),
           "teacher_input_ids": IDS + (IDS != 0)}


def classifier(seed: int, width: int, layers: int) -> BertForSequenceClassification:
    torch.manual_seed(seed)
    return BertForSequenceClassification(BertConfig(
        vocab_size=30, hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 8, intermediate_size=32,
        max_position_embeddings=16, num_labels=3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        initializer_range=0.3,
    )).train()


def step(rows: slice, *, is_shared: bool) -> dict[str, torch.Tensor]:
    """Gradients of two steps: in the second, the projections have no part."""
    student = classifier(1, 16, 1)
    terms = [LossTerm(name="hidden-states", until=0.5), LossTerm(name="minilm-v2")]
    objective = GuidedObjective(
        lambda logits, hard, soft: hard_label_loss(logits, hard), terms, student=student, teacher=classifier(2, 32, 2), seed=3
    )
    gradients = {}
    with learned_beside(student, objective):
        model = DistributedDataParallel(student) if is_shared else student
        for progress in (0.0, 0.5):
            student.zero_grad()
            batch = TrainingBatch({name: value[rows] for name, value in TENSORS.items()}, NAMES, progress)
            objective(model, batch).loss.backward()
            gradients |= {f"{progress}.{name}": p.grad.clone() for name, p in student.named_parameters()}
    return gradients


def main(rank: int, folder: Path) -> None:
    if rank == 0:
        save_file(step(slice(0, 2), is_shared=False), folder / "alone.safetensors")
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    save_file(step(slice(rank, rank + 1), is_shared=True), folder / f"shared-{rank}.safetensors")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
