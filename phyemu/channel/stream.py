"""The streaming executor: unbounded samples through one realisation, in bounded memory."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.channel.model import ChannelModel, ChannelRealisation
from phyemu.channel.noise_level import noise_variance
from phyemu.channel.resample_kernel import SLIP_SAMPLES
from phyemu.channel.stream_bank import StreamReceiver
from phyemu.channel.stream_engine import StreamEngine
from phyemu.channel.stream_link import StreamLink
from phyemu.channel.stream_settings import check_threads, interval_in_samples
from phyemu.errors import ConfigError, SignalError

__all__ = ["ChannelStream"]

# Silence is processed in pieces of this many samples.
_SILENCE = 1 << 15


class ChannelStream:
    """Applies one endless realisation of a channel to a stream of samples.

    The output is the same, bit for bit, for any division of the input into blocks and for any
    number of threads: gains, carrier phase and noise are functions of the sample's index. It
    equals `apply_draw` on the same draw within 1e-5 of full scale, `latency_samples` later.

    Attributes:
        realisation: The channel that is played.
        interval_samples: Samples between two updates of the gains.
        noise_variance: Total variance of each complex noise sample.
    """

    def __init__(
        self,
        model: ChannelModel,
        *,
        sample_rate_hz: float,
        symbol_rate_hz: float,
        reference_power: float,
        seed: int,
        interval_s: float = 1e-3,
        num_threads: int = 1,
    ) -> None:
        """Draw a realisation of `model` and get ready to play it.

        Args:
            model: The channel.
            sample_rate_hz: Rate of the samples [Hz].
            symbol_rate_hz: Rate of the symbols that the SNR refers to [Hz].
            reference_power: Mean sample power while the transmitter is active with all symbols
                at peak, linear, full scale 1; it sets the noise with the SNR.
            seed: Everything random comes from it.
            interval_s: Time between two updates of the gains [s], rounded to samples; at most
                a day.
            num_threads: Threads that share the work, >= 1.

        Raises:
            ConfigError: A setting is out of range.
        """
        generator = torch.Generator().manual_seed(seed)
        if not (math.isfinite(symbol_rate_hz) and symbol_rate_hz > 0):
            raise ConfigError(f"symbol_rate_hz must be positive, got {symbol_rate_hz}")
        realisation = model.realise(symbol_rate_hz=symbol_rate_hz, generator=generator)
        self._prepare(
            realisation,
            sample_rate_hz=sample_rate_hz,
            symbol_rate_hz=symbol_rate_hz,
            reference_power=reference_power,
            seed=seed,
            interval_s=interval_s,
            num_threads=num_threads,
        )

    @classmethod
    def of_realisation(
        cls,
        realisation: ChannelRealisation,
        *,
        sample_rate_hz: float,
        symbol_rate_hz: float,
        reference_power: float,
        seed: int,
        interval_s: float = 1e-3,
        num_threads: int = 1,
    ) -> "ChannelStream":
        """Return the stream that plays `realisation`; `seed` is then only the noise's."""
        stream = cls.__new__(cls)
        stream._prepare(
            realisation,
            sample_rate_hz=sample_rate_hz,
            symbol_rate_hz=symbol_rate_hz,
            reference_power=reference_power,
            seed=seed,
            interval_s=interval_s,
            num_threads=num_threads,
        )
        return stream

    def _prepare(
        self,
        realisation: ChannelRealisation,
        *,
        sample_rate_hz: float,
        symbol_rate_hz: float,
        reference_power: float,
        seed: int,
        interval_s: float,
        num_threads: int,
    ) -> None:
        self.interval_samples = interval_in_samples(interval_s, sample_rate_hz=sample_rate_hz)
        check_threads(num_threads)
        self.realisation = realisation
        self.noise_variance = float(
            noise_variance(
                torch.tensor(realisation.snr_db, dtype=torch.float64),
                reference_power=reference_power,
                sample_rate_hz=sample_rate_hz,
                symbol_rate_hz=symbol_rate_hz,
            )
        )
        link = StreamLink(realisation, sample_rate_hz=sample_rate_hz)
        receiver = StreamReceiver(
            links=(link,),
            noise_variance=self.noise_variance,
            noise_seed=seed,
            impairments=realisation.impairments,
        )
        self._clock_offset = link.clock_offset
        self._engine = StreamEngine(
            [receiver],
            num_sources=1,
            sample_rate_hz=sample_rate_hz,
            interval_samples=self.interval_samples,
            num_threads=num_threads,
        )

    @property
    def latency_samples(self) -> int:
        """Return the delay of the output: its sample n belongs to input sample n - latency.

        It is what the interpolation filters (and, with a sampling offset, the room for its drift)
        need.
        """
        return self._engine.latency_samples

    @property
    def num_samples(self) -> int:
        """Return the number of samples processed so far."""
        return self._engine.num_samples

    def process(self, iq: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Return as many output samples as input samples, `latency_samples` late.

        Args:
            iq: The next samples, (num_samples,), complex64; any number of them.

        Raises:
            SignalError: `iq` is not one-dimensional complex, or not finite.
        """
        iq = np.asarray(iq)
        if iq.ndim != 1 or not np.iscomplexobj(iq):
            raise SignalError(
                f"iq must be complex (num_samples,), got {iq.dtype} {iq.shape}; process one "
                "channel at a time"
            )
        flat = np.ascontiguousarray(iq, np.complex64).view(np.float32)
        out = np.empty_like(flat)
        self._engine.process(flat[None], out[None])
        return out.view(np.complex64)

    def flush(self) -> NDArray[np.complex64]:
        """Return the `latency_samples` output samples that are still due, by feeding silence."""
        return self.process(np.zeros(self.latency_samples, np.complex64))

    @property
    def clock_lead_samples(self) -> int:
        """How much earlier than `latency_samples` the input arrives by now, as the clocks drift."""
        drift = self._clock_offset * self.num_samples
        return round(drift - 2 * SLIP_SAMPLES * math.floor(drift / (2 * SLIP_SAMPLES) + 0.5))

    def skip(self, num_samples: int) -> None:
        """Let `num_samples` samples of silence pass without computing most of the output."""
        if num_samples < 0:
            raise ConfigError(f"num_samples must not be negative, got {num_samples}")
        # Until the samples before have left the filters, silence is processed like any sample.
        settling = min(num_samples, self._engine.history_samples + self.latency_samples)
        for begin in range(0, settling, _SILENCE):
            self.process(np.zeros(min(_SILENCE, settling - begin), np.complex64))
        self._engine.pass_over(num_samples - settling)
