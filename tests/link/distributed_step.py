"""What `test_distributed.py` runs under torchrun: a step of a PhyDNN under DDP."""

import sys
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor, nn

from phyemu.channel import load_channel
from phyemu.dnn import Normalise, PhyDnn
from phyemu.link import SymbolLink, WaveformLink
from phyemu.waveform import FrameFormat, psk

BATCH = 4


def new_model() -> PhyDnn:
    """Return the same PhyDNN each time; it has no batch norm, which DDP keeps by process."""
    torch.manual_seed(0)
    layers = [
        ("head", nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.ReLU())),
        ("tail", nn.Sequential(nn.Flatten(), nn.Linear(4 * 49, 3))),
    ]
    return PhyDnn.from_backbone(
        nn.Sequential(OrderedDict(layers)),
        split="head",
        image_shape=(1, 16, 16),
        normalise=Normalise((0.5,), (0.25,)),
        num_embeddings=4,
        generator=torch.Generator().manual_seed(1),
    )


def half(rank: int) -> tuple[Tensor, Tensor, torch.Generator]:
    """Return the images, labels and generator of a process."""
    images = torch.rand(2 * BATCH, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    labels = torch.arange(2 * BATCH) % 3
    part = slice(rank * BATCH, (rank + 1) * BATCH)
    return images[part], labels[part], torch.Generator().manual_seed(100 + rank)


def new_link(fidelity: str) -> SymbolLink | WaveformLink:
    """Return a link through the fitted channel."""
    kind = SymbolLink if fidelity == "symbol" else WaveformLink
    return kind(load_channel("office-nlos"), psk(4), FrameFormat())


def loss_of(model: nn.Module, rank: int, link: SymbolLink | WaveformLink) -> Tensor:
    """Return the mean loss over the images of a process."""
    images, labels, generator = half(rank)
    output = model(images, link, generator)
    terms = nn.functional.cross_entropy(output.logits[0], labels)
    binding: Tensor = nn.functional.cross_entropy(output.binding_logits, labels)
    entropy = -(output.probabilities * output.log_probabilities).sum(-1).mean()
    return terms + binding + 0.1 * entropy


def main(folder: Path) -> None:
    """Take a step with each link and write the parameters of this process."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    for fidelity in ("symbol", "waveform"):
        model = new_model()
        ddp = nn.parallel.DistributedDataParallel(model)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loss_of(ddp, rank, new_link(fidelity)).backward()
        optimizer.step()
        torch.save(model.state_dict(), folder / f"{fidelity}{rank}.pt")
        del ddp
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
