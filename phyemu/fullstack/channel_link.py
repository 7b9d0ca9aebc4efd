"""The 802.11a link over a channel model.

The model's impulse responses give the SNR of each of the 52 carriers,

    snr_k(t) = 10^(snr_db / 10) |H(t, f_k)|^2,

with snr_db that of a waveform as wide as the carriers together, 16.25 MHz: the power that the
symbols of a PhyDNN would have is spread over them. `effective_snr` makes one SNR of them for each
modulation.

Left out: the receiver's own errors (channel estimate, CFO, phase noise, converters), power that an
amplifier keeps back for OFDM's peaks, and changes within a frame, which are slower here by far.
"""

import numpy as np
import torch

from phyemu.channel import ChannelModel
from phyemu.errors import ConfigError
from phyemu.fullstack.effective_snr import effective_snr_db
from phyemu.fullstack.link import BITS_PER_CARRIER, SnrTrace, WifiLink
from phyemu.wifi.preamble import L_LTF_CARRIERS, WIFI_CARRIER_SPACING_HZ

__all__ = ["wifi_link"]

_TRACE_S = 2.0
_INTERVAL_S = 1e-3
_LEAST_POWER = 1e-12


def wifi_link(
    channel: ChannelModel,
    *,
    seed: int,
    rate_mbps: int | None = None,
    mtu_bytes: int = 1500,
    retry_limit: int = 7,
) -> WifiLink:
    """Return the link over one draw of a channel: 2 s of it in steps of 1 ms, then again.

    Args:
        channel: What the frames go through, the same both ways.
        seed: Of the draw, >= 0.
        rate_mbps: As in `WifiLink`.
        mtu_bytes: As in `WifiLink`.
        retry_limit: As in `WifiLink`.

    Raises:
        ConfigError: A number is out of range.
    """
    if seed < 0:
        raise ConfigError(f"seed must not be negative, got {seed}")
    draw = channel.draw(
        1,
        num_steps=round(_TRACE_S / _INTERVAL_S),
        interval_s=_INTERVAL_S,
        symbol_rate_hz=len(L_LTF_CARRIERS) * WIFI_CARRIER_SPACING_HZ,
        generator=torch.Generator().manual_seed(seed),
    )
    frequencies_hz = torch.tensor(L_LTF_CARRIERS, dtype=torch.float64) * WIFI_CARRIER_SPACING_HZ
    response = draw.response.frequency_response(frequencies_hz)[0]
    power = response.abs().double().square().numpy()
    flat_db = float(draw.snr_db[0])
    snr_db = 10 * np.log10(np.maximum(power, _LEAST_POWER)) + flat_db
    mean_db = 10 * np.log10(np.maximum(power.mean(axis=-1), _LEAST_POWER)) + flat_db
    columns = [effective_snr_db(snr_db, bits) for bits in BITS_PER_CARRIER]
    return WifiLink(
        snr=SnrTrace(
            snr_db=np.stack(columns, axis=-1), mean_snr_db=mean_db, interval_s=_INTERVAL_S
        ),
        rate_mbps=rate_mbps,
        mtu_bytes=mtu_bytes,
        retry_limit=retry_limit,
    )
