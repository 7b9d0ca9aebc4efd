"""What a system costs for a batch: computing measured or modelled, sending by the real frames.

The device's side is measured on this machine, or modelled by the profile of another; the server's
is measured on this machine. Sending is computed: air time of the frames, or a transfer through a
protocol stack. `InferenceCost.modelled` says which of its fields no measurement stands behind.
"""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from phyemu.dnn import Lookup, evaluating
from phyemu.errors import ConfigError
from phyemu.metering import (
    DeviceProfile,
    EnergyMeter,
    InferenceCost,
    energy_per_call,
    find_meter,
    load_device_profile,
    time_calls,
)
from phyemu.waveform import FrameFormat, split_payload

from .air_bytes import bytes_on_air
from .exported import ExportedPhyDnn

__all__ = [
    "Communication",
    "CostSettings",
    "Transferred",
    "full_stack_communication",
    "full_stack_cost",
    "inference_cost",
    "phy_communication",
    "phy_cost",
    "phydnn_cost",
]

Side = Callable[[Tensor], Tensor]


class Transferred(Protocol):
    """What a transfer through a protocol stack tells; `phyemu.fullstack.Transfer` is one."""

    @property
    def duration_s(self) -> float:
        """From the first packet offered to the last byte delivered [s]."""

    @property
    def payload_bytes(self) -> int:
        """What was to be transferred."""

    @property
    def overhead_bytes(self) -> Mapping[str, int]:
        """Everything else on the air, by layer."""

    @property
    def airtime_s(self) -> float:
        """While the medium was in use [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Communication:
    """What sending a batch takes, whatever it is sent by; nothing where nothing is sent.

    Attributes:
        duration_s: From the first sample or packet to the last [s].
        payload_bytes: Of what the images become.
        overhead_bytes: Everything else on the air.
    """

    duration_s: float = 0.0
    payload_bytes: float = 0.0
    overhead_bytes: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CostSettings:
    """How costs are found.

    Attributes:
        profile: Of the device that computes the head; None: this machine, measured.
        meter: Measures the head's energy where there is no profile; None: the best there is.
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


def phy_communication(
    *, num_images: int, symbols_per_image: int, order: int, frame_format: FrameFormat
) -> Communication:
    """Return what the frames of a batch take: their samples over the sample rate, no gaps.

    Args:
        num_images: Images sent together, >= 1.
        symbols_per_image: Channel symbols of an image, >= 1.
        order: Points of the constellation, >= 2.
        frame_format: Frames on the air.

    Raises:
        ConfigError: A number is out of range.
    """
    on_air = bytes_on_air(
        num_images=num_images,
        symbols_per_image=symbols_per_image,
        order=order,
        frame_format=frame_format,
    )
    plan = split_payload(num_images * symbols_per_image, frame_format)
    samples = sum(frame_format.frame_samples(size) for size in plan)
    return Communication(
        duration_s=samples / frame_format.sample_rate_hz,
        payload_bytes=on_air.payload,
        overhead_bytes=on_air.overhead,
    )


def full_stack_communication(transfer: Transferred) -> Communication:
    """Return what a transfer through a protocol stack takes."""
    return Communication(
        duration_s=transfer.duration_s,
        payload_bytes=float(transfer.payload_bytes),
        overhead_bytes=float(sum(transfer.overhead_bytes.values())),
    )


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
            meter = find_meter() if settings.meter is None else settings.meter
            measured = _measured(head, images, settings.repetitions)
            head_s, sent, meter_name = measured.seconds, measured.output, meter.name
            head_j = _energy(head, images, meter)
            modelled |= {"head_j"} if meter.modelled else set()
        else:
            sent = _measured(head, images, 1).output
            head_s = profile.latency_s(head, _placed(head, images))
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
    lookup: Lookup = Lookup.HARD,
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
    profile = settings.profile or load_device_profile("jetson-orin-nano")
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


def _energy(side: Side, inputs: Tensor, meter: EnergyMeter) -> float:
    with _inference(side):
        return energy_per_call(_waiting(side, _placed(side, inputs)), meter).energy_j
