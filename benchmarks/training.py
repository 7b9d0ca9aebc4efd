"""Training: what the air interface adds to a step of a PhyDNN, and what the PhyDNN adds itself.

The work is a whole step - forward, backward, AdamW - on random images, with the settings of the
presets in float32. The digits' ResNet-8 sends 256 symbols an image, the ResNet-20 at 32x32 pixels
1024.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.harness import Row, compare
from phyemu.channel import ChannelModel, load_channel
from phyemu.datasets import Batch, Dataset, ImageSet
from phyemu.dnn import Estimator, Link, Normalise, PhyDnn, ResNet, ResNetConfig, resnet, total_loss
from phyemu.link import SymbolLink, WaveformLink
from phyemu.training import PhyDnnConfig, Precision, Preset, TrainConfig, named_preset, preset
from phyemu.training.arithmetic import forward_precision
from phyemu.training.phydnn import PhyDnnTask
from phyemu.waveform import FrameFormat, psk

CHANNEL = "office-nlos"
AWGN = "awgn:12"
ROUNDS = 5


def phydnn_step(
    backbone: ResNet,
    normalise: Normalise,
    settings: PhyDnnConfig,
    link: Link,
    images: Tensor,
    labels: Tensor,
) -> Callable[[], object]:
    """Return a call that trains a PhyDNN around a copy of the backbone for a step."""
    generator = torch.Generator().manual_seed(1)
    model = PhyDnn.from_backbone(
        backbone,
        split=settings.split,
        image_shape=(images.shape[1], images.shape[2], images.shape[3]),
        normalise=normalise,
        num_embeddings=settings.orders[0],
        generator=generator,
        score=settings.score,
    ).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    weights = settings.loss_weights(settings.beta)

    def step() -> None:
        output = model(
            images,
            link,
            generator,
            num_samples=settings.num_samples,
            estimator=settings.estimator,
            temperature=settings.temperature,
            lookup=settings.lookup,
            binding_share=settings.binding_share if weights.binding else 0.0,
        )
        teacher = None
        if weights.distillation:
            with torch.no_grad():
                teacher = backbone(normalise(images))
        terms = total_loss(
            output, labels, weights, embedding=model.embedding, teacher_logits=teacher
        )
        optimizer.zero_grad(set_to_none=True)
        terms.total.backward()
        optimizer.step()

    return step


def plain_step(
    backbone: nn.Module, normalise: Normalise, images: Tensor, labels: Tensor
) -> Callable[[], object]:
    """Return a call that fine-tunes the backbone for a step, without a link."""
    optimizer = torch.optim.AdamW(backbone.parameters(), lr=1e-4)

    def step() -> None:
        loss = functional.cross_entropy(backbone(normalise(images)), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def steps(dataset: str, *, channels: int) -> tuple[dict[str, Callable[[], object]], int]:
    """Return what is timed for a dataset's preset, AWGN first, and the images of a batch."""
    config = preset(dataset, AWGN)
    settings = config.phydnn
    shape = ResNetConfig(
        depth=config.backbone.depth,
        width=config.backbone.width,
        in_channels=channels,
        num_classes=10,
    )
    normalise = Normalise((0.5,) * channels, (0.25,) * channels)
    generator = torch.Generator().manual_seed(0)
    batch = settings.batch_size
    images = torch.randint(256, (batch, channels, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.randint(10, (batch,), generator=generator)
    points, frame = psk(settings.orders[0]), FrameFormat()
    awgn: ChannelModel = load_channel(AWGN)
    office: ChannelModel = load_channel(CHANNEL)
    links: dict[str, Link] = {
        f"PhyDNN, SymbolLink, {AWGN}": SymbolLink(awgn, points, frame),
        f"PhyDNN, SymbolLink, {CHANNEL}": SymbolLink(office, points, frame),
        f"PhyDNN, WaveformLink, {AWGN}": WaveformLink(awgn, points, frame),
        f"PhyDNN, WaveformLink, {CHANNEL}": WaveformLink(office, points, frame),
    }
    calls = {
        name: phydnn_step(
            resnet(shape, generator=generator), normalise, settings, link, images, labels
        )
        for name, link in links.items()
    }
    plain = resnet(shape, generator=generator)
    calls["fine-tuning the backbone, no link"] = plain_step(plain, normalise, images, labels)
    return calls, batch


def ratio_table(title: str, rows: list[Row]) -> str:
    """Return times of a step, over that with AWGN and over plain fine-tuning."""
    plain = rows[-1]
    lines = [
        f"## {title}",
        "",
        "| step | ms (median) | of AWGN | of fine-tuning | spread |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row.name} | {1e3 / row.rate:.0f} | {row.ratio:.2f} | {row.ratio / plain.ratio:.2f} "
        f"| {100 * row.spread:.0f} % |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def task_step(config: TrainConfig, dataset: Dataset, backbone: ResNet) -> Callable[[], object]:
    """Return a call that does a step of a training as `phyemu train` does it, thawed."""
    task = PhyDnnTask(
        backbone,
        Normalise(dataset.mean, dataset.std),
        dataset,
        load_channel(AWGN),
        config,
        "cpu",
    )
    epoch = config.phydnn.freeze_epochs
    task.begin_epoch(epoch)
    size = config.phydnn.batch_size
    batch = Batch(dataset.train.images[:size], dataset.train.labels[:size])

    def step() -> None:
        task.model.train()
        task.optimizer.zero_grad(set_to_none=True)
        task.losses(batch, epoch=epoch, step=0, num_steps=1)["total"].backward()
        task.optimizer.step()

    return step


def preset_steps(precision: Precision, depth: int) -> dict[str, Callable[[], object]]:
    """Return plain fine-tuning of a ResNet at 32x32 pixels, then a PhyDNN by each preset."""
    generator = torch.Generator().manual_seed(0)
    default = preset("cifar10", AWGN)
    size = default.phydnn.batch_size
    images = torch.randint(256, (size, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.randint(10, (size,), generator=generator)
    noise = ImageSet(images, labels, tuple("0123456789"))
    dataset = Dataset(
        name="noise", train=noise, validation=noise, test=noise, mean=(0.5,) * 3, std=(0.25,) * 3
    )
    configs = {
        "preset": default,
        "preset best": named_preset(Preset.BEST, "cifar10", AWGN),
        "preset paper": named_preset(Preset.PAPER, "cifar10", AWGN),
    }
    bare = replace(
        default.phydnn,
        distillation=0.0,
        binding_share=1 / 16,
        estimator=Estimator.STRAIGHT_THROUGH,
    )
    copied = replace(bare, estimator=Estimator.COPY, beta=0.0)
    configs |= {
        "paper, binding_share 1/16": _with(configs["preset paper"], binding_share=1 / 16),
        "paper, without binding": _with(configs["preset paper"], binding=0.0),
        "straight-through, binding_share 1/16": replace(default, phydnn=bare),
        "straight-through, without binding": _with(
            replace(default, phydnn=bare), binding=0.0, binding_share=1.0
        ),
        "copied gradient, binding_share 1/16": replace(default, phydnn=copied),
        "copied gradient, binding_share 1/32": _with(
            replace(default, phydnn=copied), binding_share=1 / 32
        ),
        "copied gradient, without binding": _with(
            replace(default, phydnn=copied), binding=0.0, binding_share=1.0
        ),
    }
    shape = ResNetConfig(depth=depth, in_channels=3, num_classes=10)
    plain = resnet(shape, generator=generator)
    plain.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    normalise = Normalise(dataset.mean, dataset.std)

    def in_precision(step: Callable[[], object]) -> Callable[[], object]:
        def call() -> None:
            with forward_precision(precision, torch.device("cpu")):
                step()

        return call

    calls = {"fine-tuning, no link": in_precision(plain_step(plain, normalise, images, labels))}
    backbone = resnet(shape, generator=generator)
    for name, config in configs.items():
        calls[name] = task_step(replace(config, precision=precision), dataset, backbone)
    return calls


def _with(config: TrainConfig, **changes: float) -> TrainConfig:
    return replace(config, phydnn=replace(config.phydnn, **changes))


def preset_table(title: str, rows: list[Row]) -> str:
    """Return times of a step, over that of plain fine-tuning round by round."""
    lines = [
        f"## {title}",
        "",
        "| step | ms (median) | of fine-tuning | spread |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row.name} | {1e3 / row.rate:.0f} | {row.ratio:.2f} | {100 * row.spread:.0f} % |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def run() -> str:
    """Return the tables of both networks, and of ResNet-20 and ResNet-56 by preset."""
    torch.set_num_threads(1)
    tables = []
    for name, dataset, channels in (("ResNet-8", "digits", 1), ("ResNet-20", "cifar10", 3)):
        calls, batch = steps(dataset, channels=channels)
        rows = compare(calls, units=1.0, rounds=ROUNDS, clock=time.process_time)
        tables.append(ratio_table(f"Train: a step of {name}, {batch} images of {dataset}", rows))
    for precision, depth in (
        (Precision.BFLOAT16, 20),
        (Precision.FLOAT32, 20),
        (Precision.BFLOAT16, 56),
    ):
        calls = preset_steps(precision, depth)
        rows = compare(calls, units=1.0, rounds=ROUNDS, clock=time.process_time)
        title = f"Train: a step of ResNet-{depth} by preset, {precision}, channels_last"
        tables.append(preset_table(title, rows))
    tables.append(
        f"Processor time, medians of {ROUNDS} interleaved rounds on {os.cpu_count()} cores, one "
        "thread.\n"
    )
    return "\n".join(tables)
