"""What a system costs for a batch: computing measured or modelled, sending by the real frames.

The device's side is measured on this machine, or modelled by the profile of another; the server's
is measured on this machine. Sending is computed: air time of the frames, or a transfer through a
protocol stack. `InferenceCost.modelled` says which of its fields no measurement stands behind.
"""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from phyemu.datasets import ImageSet
from phyemu.dnn import Lookup, evaluating
from phyemu.errors import ConfigError
from phyemu.metering import (
    DeviceProfile,
    EnergyMeter,
    InferenceCost,
    energy_per_call,
    find_meter,
    load_device_profile,
    read_device_profile,
    time_calls,
)
from phyemu.waveform import FrameFormat

from .communication import (
    Communication,
    Transferred,
    full_stack_communication,
    phy_communication,
)
from .exported import ExportedPhyDnn

__all__ = [
    "CostSettings",
    "full_stack_cost",
    "inference_cost",
    "phy_cost",
    "phydnn_cost",
    "phydnn_costs",
    "profile_for_costs",
]

Side = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class CostSettings:
    """How costs are found.

    Attributes:
        profile: Of the device that computes the head; None: this machine, measured.
        meter: Measures the power while the head computes, where there is no profile; None: the
            best there is.
        transmit_w: What sending adds to the device's power [W]; None: the profile's, or that of
            `jetson-orin-nano`.
        repetitions: Timed calls, >= 1, after one that is not.
    """

    profile: DeviceProfile | None = None
    meter: EnergyMeter | None = None
    transmit_w: float | None = None
    repetitions: int = 7

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.repetitions < 1:
            raise ConfigError(f"repetitions must be at least 1, got {self.repetitions}")
        if self.transmit_w is not None and not 0 <= self.transmit_w < math.inf:
            raise ConfigError(f"transmit_w must not be negative, got {self.transmit_w}")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Side:
    """What one side takes to compute."""

    seconds: float
    output: Tensor


def inference_cost(
    *,
    head: Side | None,
    tail: Side | None,
    images: Tensor,
    communication: Communication,
    received: Side | None = None,
    settings: CostSettings | None = None,
) -> InferenceCost:
    """Return what a batch costs in a system of two sides and what joins them.

    Args:
        head: Images to what is sent, on the device; None: the images themselves are sent.
        tail: What arrives to the result, on the server; None: the device does all.
        images: The batch, (num_images, ...).
        communication: What sending takes.
        received: From what is sent to what the tail is given; None: the same.
        settings: How costs are found.

    Raises:
        ConfigError: There are no images, or a side refuses its input.
        MeterError: The meter fails.
    """
    if not len(images):
        raise ConfigError("there are no images to count the cost of")
    settings = CostSettings() if settings is None else settings
    profile = settings.profile
    modelled = {"transmit_j", "communication_s"} if communication.duration_s else set()
    head_s, head_j, sent, meter_name = 0.0, 0.0, images, "nothing to measure"
    if head is not None:
        if profile is None:
            meter = settings.meter or find_meter(device=_placed(head, images).device)
            measured = _measured(head, images, settings.repetitions)
            head_s, sent, meter_name = measured.seconds, measured.output, meter.name
            head_j = head_s * _mean_power(head, images, meter)
            modelled |= {"head_j"} if meter.modelled else set()
        else:
            placed = _placed(head, images)
            with _inference(head):
                sent = head(placed)
            sent = sent.clone()
            head_s = profile.latency_s(head, placed)
            head_j = head_s * profile.powers.compute_w
            meter_name = f"powers of {profile.name}"
            modelled |= {"head_s", "head_j"}
    tail_s = 0.0
    if tail is not None:
        arrived = sent if received is None else received(sent)
        tail_s = _measured(tail, arrived, settings.repetitions).seconds
    return InferenceCost(
        num_images=len(images),
        head_s=head_s,
        communication_s=communication.duration_s,
        tail_s=tail_s,
        head_j=head_j,
        transmit_j=communication.duration_s * _transmit_w(settings),
        payload_bytes=communication.payload_bytes,
        overhead_bytes=communication.overhead_bytes,
        modelled=frozenset(modelled),
        device="this machine" if profile is None else profile.name,
        meter=meter_name,
    )


def phy_cost(
    *,
    head: Side,
    tail: Side,
    images: Tensor,
    symbols_per_image: int,
    order: int,
    frame_format: FrameFormat,
    settings: CostSettings | None = None,
) -> InferenceCost:
    """Return what a batch costs whose symbols are the waveform.

    Modulator and receiver are hardware in a radio and are not counted; `measure_latency` times
    those in software.

    Args:
        head: Images to channel symbols, (num_images, symbols_per_image) integers.
        tail: Posteriors (num_images, symbols_per_image, order) to the result.
        images: The batch.
        symbols_per_image: Channel symbols of an image.
        order: Points of the constellation.
        frame_format: Frames on the air, with their sample rate.
        settings: How costs are found.

    Raises:
        ConfigError: A number is out of range, or a side refuses its input.
        MeterError: The meter fails.
    """

    def received(symbols: Tensor) -> Tensor:
        one_hot = functional.one_hot(symbols.long(), order)
        return one_hot.view(len(images), symbols_per_image, order).float()

    return inference_cost(
        head=head,
        tail=tail,
        images=images,
        communication=phy_communication(
            num_images=len(images),
            symbols_per_image=symbols_per_image,
            order=order,
            frame_format=frame_format,
        ),
        received=received,
        settings=settings,
    )


def phydnn_cost(
    phydnn: ExportedPhyDnn,
    images: Tensor,
    *,
    lookup: Lookup | None = None,
    settings: CostSettings | None = None,
) -> InferenceCost:
    """Return what a batch costs with an exported PhyDNN; see `phy_cost`."""

    def tail(posteriors: Tensor) -> Tensor:
        with evaluating(phydnn.tail):
            logits: Tensor = phydnn.tail(posteriors, lookup)
        return logits

    return phy_cost(
        head=phydnn.head,
        tail=tail,
        images=images,
        symbols_per_image=phydnn.symbols_per_image,
        order=phydnn.order,
        frame_format=phydnn.frame_format,
        settings=settings,
    )


def profile_for_costs(name: str | None) -> DeviceProfile | None:
    """Return the profile of that name or file; None for `this-machine`, which is measured itself.

    Raises:
        ConfigError: There is none, or a file is no profile.
    """
    return None if name is None or name == "this-machine" else load_device_profile(name)


def phydnn_costs(
    phydnn: ExportedPhyDnn,
    images: ImageSet,
    *,
    profile: DeviceProfile | None,
    num_images: Sequence[int],
    lookup: Lookup | None = None,
) -> list[InferenceCost]:
    """Return what batches of several sizes cost with an exported PhyDNN; see `phy_cost`.

    Args:
        phydnn: Head and tail as deployed.
        images: The first of them make a batch, from the start again where they are fewer.
        profile: Of the device that computes the head; None: this machine, measured.
        num_images: Images of each batch, >= 1.
        lookup: Hard, soft or learned; None: as in training.

    Raises:
        ConfigError: There are no images.
        MeterError: The meter fails.
    """
    settings = CostSettings(profile=profile)
    if not len(images) or min(num_images) < 1:
        raise ConfigError(f"there is nothing to send: {len(images)} images, {num_images=}")
    batches = [images.images[torch.arange(count) % len(images)] for count in num_images]
    return [phydnn_cost(phydnn, batch, lookup=lookup, settings=settings) for batch in batches]


def full_stack_cost(
    *,
    head: Side | None,
    tail: Side | None,
    images: Tensor,
    transfer: Transferred,
    settings: CostSettings | None = None,
) -> InferenceCost:
    """Return what a batch costs that goes through a protocol stack, or stays on the device.

    Args:
        head: Images to what is sent; None: the images are.
        tail: What is sent to the result.
        images: The batch.
        transfer: Of the batch's payload.
        settings: How costs are found.

    Raises:
        ConfigError: A side refuses its input.
        MeterError: The meter fails.
    """
    return inference_cost(
        head=head,
        tail=tail,
        images=images,
        communication=full_stack_communication(transfer),
        settings=settings,
    )


def _transmit_w(settings: CostSettings) -> float:
    if settings.transmit_w is not None:
        return settings.transmit_w
    profile = settings.profile or read_device_profile("jetson-orin-nano")
    return profile.powers.transmit_w


def _placed(side: Side, inputs: Tensor) -> Tensor:
    parameters = side.parameters() if isinstance(side, nn.Module) else iter(())
    return inputs.to(next(parameters, inputs).device)


@contextmanager
def _inference(side: Side) -> Iterator[None]:
    with ExitStack() as stack:
        if isinstance(side, nn.Module):
            stack.enter_context(evaluating(side))
        stack.enter_context(torch.inference_mode())
        yield


def _waiting(side: Side, placed: Tensor) -> Callable[..., Tensor]:
    """Return a call that ends when its result is there."""

    def call(_number: int = 0) -> Tensor:
        output = side(placed)
        if output.is_cuda:
            torch.cuda.synchronize(output.device)
        return output

    return call


def _measured(side: Side, inputs: Tensor, repetitions: int) -> _Side:
    with _inference(side):
        times, output = time_calls(_waiting(side, _placed(side, inputs)), repetitions)
    # A tensor made in inference mode may not be used outside.
    return _Side(seconds=statistics.median(times), output=output.clone())


def _mean_power(side: Side, inputs: Tensor, meter: EnergyMeter) -> float:
    """Return the power while a side computes [W]; times its latency, so that both are of one call.

    A meter needs many calls to resolve one, and so would meet a burst of other work that the median
    of the latency does not see.
    """
    with _inference(side):
        found = energy_per_call(_waiting(side, _placed(side, inputs)), meter)
    return found.energy_j / found.duration_s if found.duration_s > 0 else 0.0
