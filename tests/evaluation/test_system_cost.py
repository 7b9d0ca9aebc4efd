import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from phyemu.datasets import ImageSet
from phyemu.dnn import (
    ArtefactInfo,
    Normalise,
    PhyDnn,
    ResNetConfig,
    describe_architecture,
    export_head,
    export_tail,
    resnet,
)
from phyemu.errors import ConfigError
from phyemu.evaluation import (
    Communication,
    CostSettings,
    ExportedPhyDnn,
    bytes_on_air,
    full_stack_communication,
    full_stack_cost,
    inference_cost,
    load_exported,
    phy_communication,
    phy_cost,
    phydnn_cost,
    phydnn_costs,
    profile_for_costs,
    profiled_heads,
    system_cost,
)
from phyemu.metering import Energy, PowerModel, count_work, read_device_profile
from phyemu.waveform import FrameFormat

M = 4


class Bench:
    """A meter that finds 2 mW in each block, whatever runs."""

    name = "bench"
    modelled = False
    resolution_s = 0.0

    @contextmanager
    def measure(self) -> Iterator[Energy]:
        energy = Energy()
        yield energy
        energy.finish(energy_j=2e-3, duration_s=1.0)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> ExportedPhyDnn:
    """Return a PhyDNN that was never trained: its cost is that of a trained one."""
    generator = torch.Generator().manual_seed(1)
    backbone = resnet(
        ResNetConfig(depth=8, num_classes=5, in_channels=1, width=4), generator=generator
    )
    model = PhyDnn.from_backbone(
        backbone,
        split="layer1",
        image_shape=(1, 8, 8),
        normalise=Normalise((0.4,), (0.3,)),
        num_embeddings=M,
        generator=generator,
    )
    angles = [math.tau * m / M for m in range(M)]
    info = ArtefactInfo(
        architecture=describe_architecture(backbone),
        split="layer1",
        image_shape=(1, 8, 8),
        class_names=tuple("abcde"),
        constellation={
            "name": "psk",
            "order": M,
            "points": [[math.cos(angle), math.sin(angle)] for angle in angles],
        },
        frame={},
        provenance={},
    )
    folder: Path = tmp_path_factory.mktemp("run")
    for side, export in (("head", export_head), ("tail", export_tail)):
        (folder / side).mkdir()
        export(model.eval(), folder / side / f"m{M}.safetensors", info)
    return load_exported(folder)


def batch(num_images: int) -> Tensor:
    return torch.zeros((num_images, 1, 8, 8), dtype=torch.uint8)


def test_frames_take_their_samples_over_the_sample_rate() -> None:
    frame_format = FrameFormat()
    found = phy_communication(
        num_images=64, symbols_per_image=1024, order=4, frame_format=frame_format
    )
    on_air = bytes_on_air(num_images=64, symbols_per_image=1024, order=4, frame_format=frame_format)
    assert (found.payload_bytes, found.overhead_bytes) == (on_air.payload, on_air.overhead)
    assert found.payload_bytes == 16 * 1024  # the paper's 16 KB at M = 4
    # All symbols at 10 MHz, and each frame's pulses end later than its last symbol begins.
    symbols = 8 * on_air.total / 2
    tails = on_air.num_frames * (frame_format.pulse_span_symbols - 0.5)
    assert found.duration_s == pytest.approx((symbols + tails) / 10e6)


def test_a_transfer_is_its_duration_payload_and_overhead() -> None:
    transfer = SimpleNamespace(
        duration_s=0.22,
        payload_bytes=262_144,
        overhead_bytes={"mac": 8000.0, "transport": 6000.0, "lost": 1500.0},
    )
    found = full_stack_communication(transfer)
    assert (found.duration_s, found.payload_bytes) == (0.22, 262_144.0)
    assert found.overhead_bytes == 14_000.0  # what was lost is payload


def test_a_measured_cost_says_that_only_sending_is_modelled(untrained: ExportedPhyDnn) -> None:
    found = phydnn_cost(
        untrained, batch(3), settings=CostSettings(meter=Bench(), transmit_w=2.0, repetitions=2)
    )
    assert found.modelled == {"communication_s", "transmit_j"}
    assert found.head_s > 0
    assert found.tail_s > 0
    assert found.head_j == pytest.approx(2e-3 * found.head_s)
    assert found.transmit_j == pytest.approx(2.0 * found.communication_s)
    assert found.payload_bytes == 3 * 64 * 2 / 8
    assert (found.device, found.meter, found.num_images) == ("this machine", "bench", 3)


def test_a_stated_power_marks_the_energy_as_modelled(untrained: ExportedPhyDnn) -> None:
    settings = CostSettings(meter=PowerModel(power_w=5.0, source="given"), repetitions=1)
    found = phydnn_cost(untrained, batch(1), settings=settings)
    assert "head_j" in found.modelled
    # Of the latency that is stated beside it, whatever else the machine did while it was metered.
    assert found.head_j == pytest.approx(5.0 * found.head_s)


def test_a_profile_models_the_head_and_the_server_is_measured(untrained: ExportedPhyDnn) -> None:
    profile = read_device_profile("jetson-orin-nano")
    found = phydnn_cost(untrained, batch(2), settings=CostSettings(profile=profile))
    assert found.head_s == profile.latency_s(untrained.head, batch(2))
    assert found.head_j == pytest.approx(found.head_s * profile.powers.compute_w)
    assert found.modelled == {"head_s", "head_j", "communication_s", "transmit_j"}
    assert found.transmit_j == pytest.approx(found.communication_s * profile.powers.transmit_w)
    assert found.device == "jetson-orin-nano"
    assert found.tail_s > 0


def test_the_tail_is_given_what_the_head_sends() -> None:
    given: list[Tensor] = []

    def tail(posteriors: Tensor) -> Tensor:
        given.append(posteriors.clone())
        return posteriors

    phy_cost(
        head=lambda images: torch.tensor([[3, 0], [1, 2]]),
        tail=tail,
        images=torch.zeros(2, 1),
        symbols_per_image=2,
        order=4,
        frame_format=FrameFormat(),
        settings=CostSettings(meter=Bench(), repetitions=1),
    )
    assert given[0].shape == (2, 2, 4)
    assert given[0].argmax(-1).tolist() == [[3, 0], [1, 2]]


def test_a_device_that_does_all_sends_nothing() -> None:
    found = inference_cost(
        head=nn.Linear(4, 2),
        tail=None,
        images=torch.zeros(5, 4),
        communication=Communication(),
        settings=CostSettings(meter=Bench(), repetitions=1),
    )
    assert (found.communication_s, found.tail_s, found.transmit_j) == (0.0, 0.0, 0.0)
    assert found.modelled == frozenset()


def test_a_device_that_sends_images_computes_nothing() -> None:
    transfer = SimpleNamespace(duration_s=0.1, payload_bytes=20, overhead_bytes={"mac": 4})
    tail = nn.Linear(4, 2)
    found = full_stack_cost(head=None, tail=tail, images=torch.zeros(5, 4), transfer=transfer)
    assert (found.head_s, found.head_j, found.total_bytes) == (0.0, 0.0, 24.0)
    assert found.tail_s > 0
    # What no setting tells is the power of the only radio that is known.
    assert found.transmit_j == pytest.approx(0.1 * 2.27)


def test_batches_of_several_sizes_begin_anew_where_images_are_few(
    untrained: ExportedPhyDnn,
) -> None:
    images = ImageSet(images=batch(3), labels=torch.zeros(3, dtype=torch.int64), class_names=("a",))
    profile = profile_for_costs("jetson-orin-nano")
    found = phydnn_costs(untrained, images, profile=profile, num_images=(1, 5))
    assert [cost.num_images for cost in found] == [1, 5]
    assert found[0].device == "jetson-orin-nano"
    measured = profile_for_costs("this-machine")
    here = phydnn_costs(untrained, images, profile=measured, num_images=(1,))
    assert "head_s" not in here[0].modelled  # measured itself, not modelled by a profile


def test_modes_are_restored(untrained: ExportedPhyDnn) -> None:
    untrained.head.train()
    try:
        phydnn_cost(untrained, batch(1), settings=CostSettings(meter=Bench(), repetitions=1))
        assert untrained.head.training
    finally:
        untrained.head.eval()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"repetitions": 0}, "repetitions must be at least 1"),
        ({"transmit_w": -1.0}, "transmit_w must not be negative"),
    ],
)
def test_settings_that_cannot_be_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CostSettings(**values)  # type: ignore[arg-type]


def test_no_images_are_refused(untrained: ExportedPhyDnn) -> None:
    with pytest.raises(ConfigError, match="need num_images >= 1"):
        phydnn_cost(untrained, batch(0))
    with pytest.raises(ConfigError, match="no images"):
        inference_cost(
            head=None, tail=None, images=torch.zeros(0, 4), communication=Communication()
        )
    none = ImageSet(images=batch(0), labels=torch.zeros(0, dtype=torch.int64), class_names=("a",))
    with pytest.raises(ConfigError, match="nothing to send: 0 images"):
        phydnn_costs(untrained, none, profile=None, num_images=(1,))


def test_heads_that_check_a_profile_are_small_and_have_names_of_their_own() -> None:
    cases = list(profiled_heads())
    assert len({case.name for case in cases}) == len(cases)
    assert all(count_work(case.network.to("meta"), case.shape).macs < 1e8 for case in cases)


def test_medians_of_calls_are_the_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        system_cost,
        "time_calls",
        lambda call, repetitions: ([5.0, 1.0, 2.0][:repetitions], call(0)),
    )
    found = inference_cost(
        head=nn.Linear(4, 2),
        tail=nn.Linear(2, 2),
        images=torch.zeros(5, 4),
        communication=Communication(),
        settings=CostSettings(meter=Bench(), repetitions=3),
    )
    assert (found.head_s, found.tail_s) == (2.0, 2.0)
