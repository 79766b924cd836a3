"""Train a tiny model on a corpus: several ranks, checkpoints, and resuming in mid-epoch with another number of ranks.

    medshard demo --out demo
    torchrun --nproc-per-node 2 docs/train.py demo/corpus --out run

Kill it at any moment and start it again, with the same or another number of processes: it goes on from its last
checkpoint, and every item still comes exactly once an epoch. Nothing here is special to the model: replace ``Net`` and
``encode`` by your own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import zlib
from pathlib import Path
from typing import Any

import torch
import torch.distributed as distributed
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import medshard
from medshard.augment import Normalize, RandomHorizontalFlip, RandomResizedCrop, TakeSlice

ANSWERS = 512
"""Answers are told apart by a hash into so many classes: enough for a tiny model to have something to learn."""


class Net(nn.Module):
    """A picture and the bytes of a question in, a class of answers out."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(3, 16, 5, 4), nn.ReLU(), nn.Conv2d(16, 32, 5, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
        )
        self.read = nn.EmbeddingBag(256, 64)
        self.answer = nn.Linear(32 * 4 + 64, ANSWERS)

    def forward(self, image: torch.Tensor, words: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W), the bytes of all questions, where each begins -> (B, ANSWERS)."""
        return self.answer(torch.cat([self.look(image), self.read(words, starts)], dim=1))


def encode(batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Bytes of the questions, their starts, classes of the answers; an item without text asks and answers nothing."""
    questions = [b"".join(t["content"].encode() for t in text if t["role"] == "user") or b" " for text in batch["text"]]
    answers = ["".join(t["content"] for t in text if t["role"] == "assistant") for text in batch["text"]]
    starts = torch.tensor([0, *map(len, questions)]).cumsum(0)[:-1]
    words = torch.frombuffer(bytearray(b"".join(questions)), dtype=torch.uint8).long()
    return words, starts, torch.tensor([zlib.crc32(answer.encode()) % ANSWERS for answer in answers])


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint so that a kill leaves the old or the new one, never half of one."""
    torch.save(content, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def note(path: Path | None, step: int, rank: int, batch: dict[str, Any]) -> None:
    """Note what was delivered: items and digests of their pixels."""
    if path is None:
        return
    digests = [hashlib.sha256(image.numpy().tobytes()).hexdigest()[:16] for image in batch["image"]]
    line = json.dumps({"step": step, "rank": rank, "items": batch["item"], "pixels": digests})
    with path.open("a") as file:
        file.write(line + "\n")


def main() -> None:
    """Train until the epochs are over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", help="folder or s3:// address")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--global-batch", type=int, default=16, help="items a step over all ranks")
    parser.add_argument("--every", type=int, default=5, help="steps between checkpoints")
    parser.add_argument("--delivered", type=Path, help="file that notes every delivered item")
    options = parser.parse_args()

    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = DistributedDataParallel(Net())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    transform = [
        TakeSlice("z"),
        RandomResizedCrop(96, scale=(0.5, 1.0)),
        RandomHorizontalFlip(),
        Normalize([0.5] * 3, [0.25] * 3),
    ]
    # global_batch_size, so that the steps stay the same with another number of ranks; drop, so that ranks stay even.
    loader = medshard.Loader(
        medshard.open(options.corpus),
        global_batch_size=options.global_batch,
        transform=transform,
        seed=0,
        remainder="drop",
        threads=1,
    )
    options.out.mkdir(parents=True, exist_ok=True)
    checkpoint, step = options.out / "checkpoint.pt", 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        loader.load_state_dict(saved["loader"])
        step = saved["step"]
    while step < options.epochs * len(loader):
        for batch in loader:
            words, starts, answers = encode(batch)
            loss = nn.functional.cross_entropy(model(batch["image"], words, starts), answers)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            note(options.delivered, step, rank, batch)
            step += 1
            if step % options.every == 0:
                if rank == 0:
                    parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
                    save(checkpoint, {**parts, "loader": batch["state"], "step": step})
                    print(f"step {step}, loss {loss.item():.3f}, process {os.getpid()}", flush=True)
                distributed.barrier()
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
