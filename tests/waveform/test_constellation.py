"""Constellations: peak power 1, Gray labels, refusals."""

import json

import pytest
import torch

from phyemu.errors import ConfigError
from phyemu.waveform import (
    Constellation,
    constellation,
    custom_constellation,
    described_constellation,
    psk,
    qam,
)


@pytest.mark.parametrize("points", [psk(2), psk(4), psk(8), psk(13), qam(4), qam(8), qam(32)])
def test_peak_power_is_one_and_the_points_are_centred(points: Constellation) -> None:
    assert points.points.abs().max().item() == pytest.approx(1.0, abs=1e-6)
    assert points.points.mean().abs().item() < 1e-6


@pytest.mark.parametrize("points", [psk(4), psk(16), qam(4), qam(8), qam(16), qam(64)])
def test_nearest_neighbours_differ_in_one_bit(points: Constellation) -> None:
    distances = (points.points[:, None] - points.points[None, :]).abs()
    distances.fill_diagonal_(10.0)
    nearest = (distances < distances.min() * 1.01).nonzero()
    for first, second in nearest.tolist():
        different = int(points.labels[first]) ^ int(points.labels[second])
        assert different.bit_count() == 1


@pytest.mark.parametrize(("order", "side"), [(32, 6), (128, 12)])
def test_a_cross_lacks_the_corners_of_its_square(order: int, side: int) -> None:
    points = qam(order).points
    assert len(points) == order
    levels = torch.unique((points.real * 1e4).round())
    assert len(levels) == side


def test_mean_power_of_16_qam_is_five_ninths() -> None:
    assert qam(16).mean_power == pytest.approx(5 / 9, rel=1e-5)


def test_custom_points_are_scaled_and_keep_their_order() -> None:
    points = custom_constellation(torch.tensor([2 + 0j, 0 + 1j, -1 + 0j]))
    assert points.order == 3
    assert points.points[0].item() == pytest.approx(1.0)
    assert points.labels.tolist() == [0, 1, 2]


def test_bad_constellations_are_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match="did you mean psk"):
        constellation("pskk", 4)
    with pytest.raises(ConfigError, match="power of two"):
        qam(12)
    with pytest.raises(ConfigError, match="psk order"):
        psk(1)
    with pytest.raises(ConfigError, match="coincide"):
        custom_constellation(torch.tensor([1 + 0j, 1 + 0j]))
    with pytest.raises(ConfigError, match="complex"):
        custom_constellation(torch.tensor([1.0, 2.0]))
    with pytest.raises(ConfigError, match="peak power"):
        Constellation("custom", torch.tensor([2 + 0j, 0j]), torch.arange(2))


@pytest.mark.parametrize("name", ["psk", "qam", "custom"])
def test_a_description_as_json_gives_the_same_points_back(name: str) -> None:
    given = custom_constellation(qam(16).points[[3, 0, 7, 9]]) if name == "custom" else psk(4)
    given = qam(16) if name == "qam" else given
    described = json.loads(json.dumps(given.to_dict()))
    assert ("points" in described) is (name == "custom")
    found = described_constellation(described)
    assert found.name == name
    torch.testing.assert_close(found.points, given.points)


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({}, "needs a name and a whole order, got None, None"),
        ({"name": "psk", "order": True}, "whole order"),
        ({"name": "custom", "order": 2}, "pairs"),
        ({"name": "custom", "order": 3, "points": [[1, 0], [0, 1]]}, "points must be 3"),
        ({"name": "custom", "order": 2, "points": [[1, 0], ["x", 1]]}, "pairs"),
        ({"name": "custom", "order": 2, "points": [[1, 0], [1]]}, "pairs"),
        ({"name": "custom", "order": 2, "points": [[1, 0], [1, 0]]}, "coincide"),
        ({"name": "custom", "order": 2, "points": [[float("nan"), 0], [1, 0]]}, "finite"),
        ({"name": "custom", "order": 0, "points": []}, "points"),
        ({"name": "pks", "order": 4}, "did you mean psk"),
    ],
)
def test_a_bad_description_is_refused(described: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        described_constellation(described)
    assert "\n" not in str(caught.value)
