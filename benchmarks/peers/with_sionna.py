"""Sionna's time-domain channel on the work; run by an interpreter that has sionna-no-rt."""

import warnings
from collections.abc import Callable, Mapping, Sequence

from answer import Work, answer


def load() -> tuple[str, Mapping[str, Callable[..., Work]]]:
    """Return Sionna's version and its works."""
    import sionna
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from sionna.phy.channel import ApplyTimeChannel, TimeChannel
        from sionna.phy.channel.tr38901 import TDL

    torch.set_num_threads(1)

    def apply(
        num_samples: int,
        lags: Sequence[int],
        gains: Sequence[float],
        sigma: float,
        update_samples: int,
        num_nodes: int = 1,
    ) -> Work:
        """One call on a stretch of a stream, all nodes to all; the taps per sample are there."""
        length = max(lags) + 1
        channel = ApplyTimeChannel(num_samples, length, device="cpu")
        sent = torch.randn(1, num_nodes, 1, num_samples, dtype=torch.complex64)
        total = num_samples + length - 1
        links = (1, num_nodes, 1, num_nodes, 1)
        num_steps = -(-total // update_samples)
        steps = torch.randn(*links, num_steps, len(lags), dtype=torch.complex64)
        taps = torch.zeros(*links, num_steps, length, dtype=torch.complex64)
        taps[..., list(lags)] = steps * torch.tensor(gains)
        taps = taps.repeat_interleave(update_samples, dim=-2)[..., :total, :].contiguous()
        return lambda: channel(sent, taps, sigma**2)

    def time_channel(
        num_samples: int,
        lags: Sequence[int],
        gains: Sequence[float],
        sigma: float,
        sample_rate_hz: float,
        doppler_hz: float,
        batch_size: int,
    ) -> Work:
        """Independent blocks: each draws its fading, samples it at every sample and applies it."""
        carrier_hz, light_m_s = 2.4e9, 299792458.0
        speed = doppler_hz / carrier_hz * light_m_s
        model = TDL("A", 100e-9, carrier_hz, min_speed=speed, max_speed=speed, device="cpu")
        # There is no profile of one's own: the standard's table is replaced by that of the work.
        model._scale_delays = False
        model._num_clusters = len(lags)
        model._delays = torch.tensor([lag / sample_rate_hz * 1e9 for lag in lags])
        model._mean_powers = torch.tensor([gain**2 for gain in gains])
        _, delays_s = model(1, 1, sample_rate_hz)
        if delays_s.numel() != len(lags):
            raise ImportError("this Sionna keeps the profile of its TDL elsewhere")
        # The default lags around the delays: 6 before and after, for the tails of the sinc.
        channel = TimeChannel(
            model, sample_rate_hz, num_samples, l_min=-6, l_max=max(lags) + 6, device="cpu"
        )
        sent = torch.randn(batch_size, 1, 1, num_samples, dtype=torch.complex64)
        return lambda: channel(sent, sigma**2)

    return sionna.__version__, {"apply": apply, "time_channel": time_channel}


if __name__ == "__main__":
    answer(load)
