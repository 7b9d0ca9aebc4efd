"""Bursts far apart are recorded where they arrive, and time passes between them."""

from pathlib import Path

import numpy as np
import pytest

from phyemu.channel import Awgn, ChannelModel, world
from phyemu.errors import ConfigError, RadioError
from phyemu.iq import open_recording
from phyemu.radio import EmulatedRadio, record_bursts

RATE_HZ = 1e6


def radio(model: ChannelModel, seed: int = 3) -> EmulatedRadio:
    return EmulatedRadio(
        model, sample_rate_hz=RATE_HZ, symbol_rate_hz=RATE_HZ, reference_power=0.25, seed=seed
    )


def bursts(count: int, size: int = 1000) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    turns = rng.uniform(size=(count, size))
    return list((0.5 * np.exp(2j * np.pi * turns)).astype(np.complex64))


@pytest.mark.parametrize("name", ["awgn", "office-los"])
def test_each_burst_arrives_behind_its_lead(tmp_path: Path, name: str) -> None:
    model = Awgn(30.0) if name == "awgn" else world(name).model
    sent = bursts(5, size=64)  # short against one turn of the carrier offset, 190 samples
    path = record_bursts(
        radio(model), sent, tmp_path / "x.sigmf", interval_s=0.05, lead_samples=200
    )
    with open_recording(path, verify=True) as recording:
        assert [segment.global_index for segment in recording.captures][1:] == [
            recording.captures[0].global_index + 50_000 * index for index in range(1, 5)
        ]
        for burst, note in zip(sent, recording.annotations, strict=True):
            iq = recording.read(note.sample_start, note.sample_count)
            correlation = np.abs(np.correlate(iq, burst, mode="valid"))
            # Indoor paths lie within one sample at 1 MHz.
            assert abs(int(correlation.argmax()) - 200) <= 1


def test_bursts_are_followed_while_the_clocks_drift(tmp_path: Path) -> None:
    # 2 ppm at 1 MHz are two samples a second: after 200 s the lead of 200 samples would be gone.
    model = world("office-los").model
    one = radio(model)
    one.skip(200_000_000)
    burst = bursts(1, size=64)
    with open_recording(
        record_bursts(one, burst, tmp_path / "x.sigmf", interval_s=0.05, lead_samples=200)
    ) as recording:
        correlation = np.abs(np.correlate(recording.read(), burst[0], mode="valid"))
    assert abs(int(correlation.argmax()) - 200) <= 2


def test_skipped_time_fades_like_received_time() -> None:
    model = world("office-nlos").model
    skipped, waited = radio(model), radio(model)
    skipped.skip(70_000)
    waited.receive(70_000)
    burst = bursts(1)[0]
    for one in (skipped, waited):
        one.transmit(burst)
    count = 1000 + skipped.latency_samples
    np.testing.assert_allclose(
        skipped.receive(count).iq, waited.receive(count).iq, rtol=0, atol=1e-6
    )


def test_a_transmission_under_way_is_not_skipped() -> None:
    one = radio(Awgn(10.0))
    one.transmit(bursts(1)[0])
    with pytest.raises(RadioError, match="before skipping"):
        one.skip(10)
    one.receive(1000)
    one.skip(10)


def test_bursts_that_do_not_fit_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="0 bursts"):
        record_bursts(radio(Awgn(10.0)), [], tmp_path / "x.sigmf", interval_s=1.0)
    with pytest.raises(ConfigError, match="2024 samples for each"):
        record_bursts(radio(Awgn(10.0)), bursts(1), tmp_path / "x.sigmf", interval_s=1e-3)
    assert list(tmp_path.iterdir()) == []
