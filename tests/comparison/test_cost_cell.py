"""Costs through the full stack: what failed is told, and does not pass for fast."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from phyemu.baselines import SystemName, network_system
from phyemu.comparison import (
    CellKey,
    CellKind,
    CellSet,
    ComparisonConfig,
    CostConfig,
    Exhibit,
    comparison_preset,
    cost_cell,
)
from phyemu.comparison.cell import Cell
from phyemu.comparison.cost_cell import cost_figures, cost_settings
from phyemu.comparison.cost_tables import table_of_costs
from phyemu.comparison.environment import environment_channel
from phyemu.comparison.systems import Provided
from phyemu.datasets import ImageSet
from phyemu.fullstack import Engine, Protocol, SnrTrace, Transfer, WifiLink, wifi_link
from phyemu.metering import read_device_profile

KEY = CellKey(
    kind=CellKind.COST,
    system="edge-only",
    dataset="digits",
    backbone="resnet8",
    environment="office-nlos",
    protocol="udp",
)
IMAGES = ImageSet(
    images=torch.zeros((4, 1, 8, 8), dtype=torch.uint8),
    labels=torch.zeros(4, dtype=torch.int64),
    class_names=("a", "b"),
)
PAYLOAD = 4 * 64


class Network(nn.Module):
    """Pixels to two logits, or to so many features."""

    def __init__(self, num_outputs: int = 2) -> None:
        super().__init__()
        self.linear = nn.Linear(64, num_outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the outputs."""
        return self.linear(images.float().flatten(1))


def settings() -> ComparisonConfig:
    """Return settings of four images over three links."""
    return replace(comparison_preset("quick"), cost=CostConfig(batch=4, links=3))


def transferred(duration_s: float, delivered_bytes: int, lost_bytes: float = 0.0) -> Transfer:
    """Return a transfer with 30 bytes of headers."""
    return Transfer(
        engine=Engine.MODEL,
        protocol=Protocol.UDP,
        payload_bytes=PAYLOAD,
        delivered_bytes=delivered_bytes,
        duration_s=duration_s,
        overhead_bytes={"mac": 20.0, "ip": 10.0, "lost": lost_bytes},
        num_frames=2,
        mac_retransmissions=0,
        transport_retransmissions=0,
        transmit_s=duration_s,
        receive_s=0.0,
    )


@pytest.fixture
def provided(tmp_path: Path) -> Provided:
    """Return a network on the edge server, which is sent the images."""
    system = network_system(SystemName.EDGE_ONLY, None, Network(), image_shape=(1, 8, 8))
    return Provided(system=system, run=tmp_path, weights="0")


def cost_of(transfers: list[Transfer], provided: Provided, monkeypatch: pytest.MonkeyPatch) -> Cell:
    """Return the cell that such transfers make."""
    left = iter(transfers)
    monkeypatch.setattr(cost_cell, "run_transfer", lambda *_, **__: next(left))
    figures, modelled, engine, _ = cost_figures(KEY, provided, IMAGES, settings(), profile=None)
    return Cell(key=KEY, figures=figures, modelled=modelled, engine=engine, fingerprint="")


def test_a_transfer_that_failed_does_not_pass_for_a_fast_one(
    provided: Provided, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfers = [
        transferred(0.2, PAYLOAD),
        transferred(0.0, 0, lost_bytes=PAYLOAD),
        transferred(0.4, PAYLOAD),
    ]
    cell = cost_of(transfers, provided, monkeypatch)
    assert cell.figures["communication_s"] == pytest.approx(0.3)
    assert cell.figures["failed_share"] == pytest.approx(1 / 3)
    assert cell.figures["delivered_share"] == pytest.approx(2 / 3)
    # Payload, sent and lost or not, is payload.
    assert (cell.figures["payload_bytes"], cell.figures["overhead_bytes"]) == (PAYLOAD, 30)
    table = table_of_costs(CellSet([cell]), Exhibit.FIGURE_6, ("office-nlos",), "digits")
    assert table is not None
    assert table.columns[-1] == "failed [%]"
    texts = dict(zip(table.columns, (entry.text() for entry in table.rows[0][1]), strict=True))
    # What is no mean of transfers, and the share itself, bear no mark.
    assert {name for name, text in texts.items() if text.endswith("†")} == {
        "communication [ms]",
        "latency [ms]",
        "overhead [KB]",
        "transmission [mJ]",
        "energy [mJ]",
    }
    assert texts["failed [%]"] == "33.33"
    assert "* 33.3 % of the transfers failed: edge-only, UDP, ResNet-8, office-nlos" in (
        table.to_markdown()
    )
    told = CellSet([replace(cell, provenance={"transfers": 3})])
    table = table_of_costs(told, Exhibit.FIGURE_6, ("office-nlos",), "digits")
    assert table is not None
    assert (
        "† mean of the complete transfers alone:\n\n"
        "* of 3 transfers 1 failed: edge-only, UDP, ResNet-8, office-nlos\n"
    ) in table.to_markdown()


def test_every_figure_of_a_cost_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The head makes 12 float32 of an image, so four images are 4 * 12 * 4 = 192 bytes.
    system = network_system(
        SystemName.SPLIT_COMPUTING,
        nn.Sequential(Network(12), nn.ReLU()),
        nn.Linear(12, 2),
        image_shape=(1, 8, 8),
    )
    key = replace(KEY, system="SC", protocol="tcp", seed=5)
    given: list[tuple[int, SnrTrace, Protocol, int]] = []

    def transfer(
        payload_bytes: int, link: WifiLink, protocol: Protocol, *, seed: int, engine: Engine
    ) -> Transfer:
        given.append((payload_bytes, link.snr, protocol, seed))
        index = len(given) - 1
        return replace(
            transferred((0.1, 0.2, 0.6)[index], payload_bytes),
            payload_bytes=payload_bytes,
            overhead_bytes={"mac": (20.0, 30.0, 70.0)[index], "ip": 10.0},
            num_frames=(4, 5, 9)[index],
            mac_retransmissions=index,
            transport_retransmissions=3 * index,
        )

    monkeypatch.setattr(cost_cell, "run_transfer", transfer)
    profile = read_device_profile("jetson-orin-nano")
    powers = replace(profile.powers, transmit_w=1.5)
    sibling = Cell(
        key=replace(key, environment="office-los"),
        figures={"head_s": 2.0, "tail_s": 0.25, "head_j": 7.0},
        fingerprint="",
        provenance={"device": "this machine", "meter": "none"},
    )
    figures, modelled, _, _ = cost_figures(
        key,
        Provided(system=system, run=tmp_path, weights="0"),
        IMAGES,
        settings(),
        profile=replace(profile, powers=powers),
        sibling=sibling,
    )
    assert figures == pytest.approx(
        {
            "head_s": 2.0,
            "tail_s": 0.25,
            "head_j": 7.0,
            "communication_s": 0.3,  # (0.1 + 0.2 + 0.6) / 3
            "latency_s": 2.55,
            "transmit_j": 0.45,  # 1.5 W for as long as is sent, and no longer
            "energy_j": 7.45,
            "payload_bytes": 192,
            "overhead_bytes": 50,  # (20 + 30 + 70) / 3 + 10
            "sent_bytes": 242,
            "delivered_share": 1,
            "failed_share": 0,
            "num_frames": 6,
            "mac_retransmissions": 1,
            "transport_retransmissions": 3,
            "duration_deviation_s": 0.07**0.5,  # of -0.2, -0.1 and 0.3: (0.04 + 0.01 + 0.09) / 2
            "head_parameters": 64 * 12 + 12,
            "head_macs": 64 * 12,
        }
    )
    assert modelled == {"communication_s", "transmit_j", "latency_s", "energy_j"}
    # Three draws of the link, each by a seed of its own, which is the transfer's, too.
    channel = environment_channel("office-nlos", settings().urban)
    for (payload, snr, protocol, seed), expected in zip(given, (5, 6, 7), strict=True):
        assert (payload, protocol, seed) == (192, Protocol.TCP, expected)
        assert np.array_equal(snr.snr_db, wifi_link(channel, seed=expected).snr.snr_db)
    assert len({snr.snr_db.tobytes() for _, snr, _, _ in given}) == 3


def test_where_every_transfer_failed_there_is_no_latency(
    provided: Provided, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = cost_of([transferred(0.1, 100)] * 3, provided, monkeypatch)
    assert cell.figures["failed_share"] == 1
    assert not cell.figures.keys() & {"communication_s", "latency_s", "transmit_j", "energy_j"}
    table = table_of_costs(CellSet([cell]), Exhibit.FIGURE_6, ("office-nlos",), "digits")
    assert table is not None
    texts = dict(zip(table.columns, (entry.text() for entry in table.rows[0][1]), strict=True))
    assert (texts["latency [ms]"], texts["failed [%]"]) == ("-", "100.00")
    assert texts["payload [KB]"] == "0.25"
    assert "†" not in table.to_markdown()


def test_a_cost_depends_on_what_a_profile_says_and_not_on_its_name() -> None:
    profile = read_device_profile("jetson-orin-nano")
    config = settings()
    assert cost_settings(KEY, config, profile) == cost_settings(
        KEY, replace(config, cost=replace(config.cost, device_profile="copy.toml")), profile
    )
    faster = replace(profile, powers=replace(profile.powers, compute_w=1.0))
    assert cost_settings(KEY, config, profile) != cost_settings(KEY, config, faster)
    assert cost_settings(KEY, config, profile) != cost_settings(KEY, config, None)


def test_what_was_measured_elsewhere_is_said_to_be(
    provided: Provided, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost_cell, "run_transfer", lambda *_, **__: transferred(0.1, PAYLOAD))
    key = replace(KEY, environment="office-los")
    figures = {"head_s": 0.0, "tail_s": 0.3, "head_j": 0.0}
    where = {"device": "this machine", "meter": "none"}
    for provenance, expected in (({**where, "computed_on": "a GPU"}, "a GPU"), (where, "cpu")):
        sibling = Cell(key=key, figures=figures, fingerprint="", provenance=provenance)
        found, _, _, record = cost_figures(
            KEY, provided, IMAGES, settings(), profile=None, sibling=sibling
        )
        assert (found["tail_s"], record["computed_on"]) == (0.3, expected)
