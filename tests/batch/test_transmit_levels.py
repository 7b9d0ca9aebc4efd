"""Transmitters of batches send as strongly as receivers can take."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from phyemu.batch import sounding_batch
from phyemu.batch.drafting import transmit_section
from phyemu.channel import ImpulseResponse
from phyemu.channel.emulate_network import emulate_network
from phyemu.colosseum import MchemEmulator
from phyemu.iq import open_recording, write_recording
from phyemu.node import load_radio_conf
from phyemu.radio import amplitude_for_peak
from phyemu.waveform import SounderFormat
from phyemu.waveform.transmission import write_sounder
from tests.batch.test_batches import IMAGE, SETTINGS, places, scenario_of


def test_a_link_whose_taps_sum_above_0_db_is_driven_within_full_scale(tmp_path: Path) -> None:
    made = sounding_batch(tmp_path / "b", places("90003"), IMAGE, SETTINGS, transmitters=[2])
    (job,) = made.plan.jobs
    confs = [load_radio_conf(tmp_path / "b" / node.config) for node in job.nodes]
    peak_dbfs = confs[1].transmit.peak_dbfs
    # The published table has three taps of 0 dB from node 2 to node 1.
    (place,) = places("90003")
    assert peak_dbfs == pytest.approx(-3 - 20 * np.log10(3), abs=0.011)
    sent = write_sounder(
        tmp_path / "sent.sigmf",
        SounderFormat(sample_rate_hz=20e6, length=255, gap_samples=510),
        num_bursts=2,
        amplitude=0.1,
    )
    emulator = MchemEmulator.of_scenario(place.scenario, noise_dbfs=-70.0)
    with open_recording(sent) as recording:
        iq = recording.read() * amplitude_for_peak(recording, peak_dbfs)
    loud = write_recording(tmp_path / "loud.sigmf", iq, sample_rate_hz=20e6)
    with open_recording(loud) as recording:
        emulate_network(
            {"2": recording},
            emulator.network,
            str(tmp_path / "rx_{node}.sigmf"),
            seed=1,
            interval_s=emulator.interval_s,
            load=emulator.load,
        )
    peaks = []
    for node in job.receivers:
        with open_recording(tmp_path / f"rx_{node}.sigmf") as heard:
            peaks.append(float(np.abs(heard.read().view(np.float32)).max()))
    # As it was before, 3 dB below full scale, the strongest would have been beyond it.
    assert max(peaks) < 1.0 < max(peaks) * 10 ** ((-3 - peak_dbfs) / 20)
    # Taps that change count at their strongest; others are sent as strongly as ever.
    gains = torch.tensor([[0.5, 0.5], [2.0, 0.0], [0.1j, 1.9]], dtype=torch.complex64)
    changing = ImpulseResponse(gains, torch.tensor([0.0, 1e-7]).double(), 1e-3)
    scenario = replace(scenario_of({(1, 2), (2, 1), (1, 3)}, 3))
    scenario = replace(scenario, links={**scenario.links, (1, 2): changing})
    assert transmit_section(scenario, 1, [2, 3]).peak_dbfs == pytest.approx(-9.03, abs=0.011)
    assert transmit_section(scenario, 1, [3]).peak_dbfs == -3.0
    assert transmit_section(scenario, 2, [1]).peak_dbfs == -3.0
