"""Wi-Fi study: share of frames that pass their check against SNR, in white noise and TGn D.

Frames of 138 octets (the length in openofdm's captures), one stream in 20 MHz, SNR per sample; a
carrier offset of 60 kHz and a clock 10 ppm off in TGn D, which is drawn anew for each group.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from benchmarks.wifi import receive
from benchmarks.wifi_traffic import data_octets, stream_of, transmitter
from phyemu.channel import ChannelStream, Distribution, FrontEnd, tgn

SNR_DB = (0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0)
MODES = tuple(range(8))
GROUPS = 40
FRONT_END = FrontEnd(cfo_hz=Distribution.constant(-60e3), sfo_ppm=Distribution.constant(10.0))


def through_tgn_d(frames: list[np.ndarray], snr_db: float, seed: int) -> np.ndarray:
    """Return the frames as they come through a draw of TGn D."""
    model = dataclasses.replace(tgn("D", snr_db=snr_db), front_end=FRONT_END)
    stream = ChannelStream(
        model, sample_rate_hz=20e6, symbol_rate_hz=20e6, reference_power=1.0, seed=seed
    )
    clean = stream_of(frames, snr_db=200.0, seed=0)
    return stream.process(np.pad(clean, (0, stream.latency_samples)))


def in_noise(frames: list[np.ndarray], snr_db: float, seed: int) -> np.ndarray:
    """Return the frames in white noise."""
    return stream_of(frames, snr_db=snr_db, seed=seed)


def passing(make: Callable[[list[np.ndarray], float, int], np.ndarray], snr_db: float) -> list[int]:
    """Return how many of GROUPS frames of each mode pass their check."""
    made = transmitter()
    octets = data_octets(108)
    frames = [made.ht_frame(octets, mode) for mode in MODES]
    passed = [0] * len(MODES)
    for seed in range(GROUPS):
        for reception in receive(make(frames, snr_db, seed)):
            content = reception.content
            if content.fcs_ok and content.mcs is not None:
                passed[content.mcs] += 1
    return passed


def run() -> str:
    """Return a table per channel."""
    lines = []
    for title, make in (("white noise", in_noise), ("TGn D", through_tgn_d)):
        lines += [
            f"## Wi-Fi: frames that pass their check, {title} [%]",
            "",
            "| SNR [dB] | " + " | ".join(f"MCS {mode}" for mode in MODES) + " |",
            "| ---: |" + " ---: |" * len(MODES),
        ]
        for snr_db in SNR_DB:
            shares = [100 * count / GROUPS for count in passing(make, snr_db)]
            lines.append(f"| {snr_db:g} | " + " | ".join(f"{share:.0f}" for share in shares) + " |")
        lines.append("")
    return "\n".join([*lines, f"{GROUPS} frames each.\n"])
