"""Many nodes: transmitters to receivers through all channels between them, and their sums."""

import difflib
import hashlib
import math
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.channel.impairments import FrontEnd, Impairments
from phyemu.channel.model import ChannelModel, ChannelRealisation
from phyemu.channel.noise_level import noise_variance
from phyemu.channel.stream_bank import StreamReceiver
from phyemu.channel.stream_engine import StreamEngine
from phyemu.channel.stream_link import Oscillator, StreamLink
from phyemu.channel.stream_settings import check_level_db, check_threads, interval_in_samples
from phyemu.errors import ConfigError, SignalError
from phyemu.units import db_to_amplitude, db_to_power

__all__ = ["ChannelNetwork", "seed_of"]

# Samples of all transmitters that are laid side by side at once.
_PIECE = 1 << 18


def seed_of(seed: int, kind: str, *names: str) -> int:
    """Return the seed of a link ("link", transmitter, receiver) or a node ("node", name).

    A function of the seed and the names alone: another link in the network changes nothing.
    """
    text = "\0".join((str(seed), kind, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


class ChannelNetwork:
    """Every receiver hears all its links at once, in its own noise, through its own converter.

    r_j(t) = converter_j( sum over i of a_ij (h_ij * s_i)(t) exp(j phi_ij(t)) + n_j(t) )

    The output is the same, bit for bit, for any division of the input into blocks and for any
    number of threads. A link that is not named does not exist and costs nothing, nor does one
    whose transmitter is silent.

    * **Noise** belongs to the receiver, once. Its variance is `noise_dbfs`, and each link is made
      as strong as it must be to have the SNR that its model draws; where `noise_dbfs` is silent,
      the receiver's first link keeps its gains and thereby sets the noise. Links without noise
      (SNR infinite) keep their gains. `gains_db` comes on top of all.
    * **Oscillators** belong to the nodes, where `front_ends` has them: carrier and clock offset of
      a link are the transmitter's minus the receiver's, so are the phase walks, so that three
      nodes have three oscillators and not six. What a model says itself (a fitted channel knows
      the offset of the pair it was measured between) is the link's own and is added.
    * **Converters** (IQ, DC, clipping, quantiser) act once, after the sum: those of the receiver's
      front end, else those of its first link.

    Attributes:
        transmitters: Their names, in the order of the links.
        receivers: Their names, in the order of the links.
        realisations: The channel that each link plays.
        noise_variances: Total variance of each complex noise sample, by receiver.
        amplitudes: a_ij, linear, by link.
        interval_samples: Samples between two updates of the gains.
    """

    def __init__(
        self,
        links: Mapping[tuple[str, str], ChannelModel],
        *,
        sample_rate_hz: float,
        symbol_rate_hz: float | Mapping[str, float],
        reference_power: float | Mapping[str, float],
        seed: int,
        gains_db: Mapping[tuple[str, str], float] | None = None,
        noise_dbfs: float | Mapping[str, float] | None = None,
        front_ends: Mapping[str, FrontEnd] | None = None,
        interval_s: float = 1e-3,
        num_threads: int = 1,
    ) -> None:
        """Draw a realisation of every link.

        Args:
            links: Channel by (transmitter, receiver), at least one.
            sample_rate_hz: Rate of the samples [Hz], one for all.
            symbol_rate_hz: Rate of the symbols that SNRs refer to [Hz]; of all or by transmitter.
            reference_power: Mean power of what is sent while active with all symbols at peak,
                linear, full scale 1; of all or by transmitter.
            seed: Everything random comes from it and the names.
            gains_db: More or less gain of links [dB], 0 where absent.
            noise_dbfs: Noise power of the receivers, of all or by name [dBFS].
            front_ends: Radios of the nodes, by name; ideal ones where absent.
            interval_s: Time between two updates of the gains [s], rounded to samples; at most
                a day.
            num_threads: Threads that share the work, >= 1.

        Raises:
            ConfigError: A setting is out of range, or names nobody.
        """
        if not links:
            raise ConfigError("a network needs at least one link, {(transmitter, receiver): model}")
        self.interval_samples = interval_in_samples(interval_s, sample_rate_hz=sample_rate_hz)
        check_threads(num_threads)
        self.transmitters = tuple(dict.fromkeys(sender for sender, _ in links))
        self.receivers = tuple(dict.fromkeys(receiver for _, receiver in links))
        nodes = (*self.transmitters, *self.receivers)
        gains_db, front_ends = dict(gains_db or {}), dict(front_ends or {})
        _check_names("front_ends", front_ends, nodes)
        _check_links(gains_db, links)
        symbol_rates_hz = _by_name("symbol_rate_hz", symbol_rate_hz, self.transmitters)
        powers = _by_name("reference_power", reference_power, self.transmitters)
        if isinstance(noise_dbfs, Mapping):
            _check_names("noise_dbfs", noise_dbfs, self.receivers)
        elif noise_dbfs is not None:
            noise_dbfs = dict.fromkeys(self.receivers, noise_dbfs)
        stated = {name: _noise_power(name, value) for name, value in (noise_dbfs or {}).items()}
        radios = {name: _draw(front_ends[name], seed_of(seed, "node", name)) for name in front_ends}

        self.realisations: dict[tuple[str, str], ChannelRealisation] = {}
        variances: dict[tuple[str, str], float] = {}
        for pair, model in links.items():
            rate_hz = symbol_rates_hz[pair[0]]
            if not rate_hz > 0:
                raise ConfigError(f"symbol_rate_hz must be positive, got {rate_hz}")
            generator = torch.Generator().manual_seed(seed_of(seed, "link", *pair))
            realisation = model.realise(symbol_rate_hz=rate_hz, generator=generator)
            self.realisations[pair] = realisation
            variances[pair] = float(
                noise_variance(
                    torch.tensor(realisation.snr_db, dtype=torch.float64),
                    reference_power=powers[pair[0]],
                    sample_rate_hz=sample_rate_hz,
                    symbol_rate_hz=rate_hz,
                )
            )
        self.noise_variances: dict[str, float] = {}
        self.amplitudes: dict[tuple[str, str], float] = {}
        stages = []
        for receiver in self.receivers:
            heard = [pair for pair in links if pair[1] == receiver]
            noises = [variances[pair] for pair in heard if variances[pair] > 0]
            noise = stated.get(receiver, noises[0] if noises else 0.0)
            self.noise_variances[receiver] = noise
            for pair in heard:
                amplitude = db_to_amplitude(gains_db.get(pair, 0.0))
                if variances[pair] > 0:
                    amplitude *= math.sqrt(noise / variances[pair])
                self.amplitudes[pair] = amplitude
            own = tuple(self._link(pair, radios, sample_rate_hz) for pair in heard)
            stages.append(
                StreamReceiver(
                    links=own,
                    noise_variance=noise,
                    noise_seed=seed_of(seed, "node", receiver),
                    impairments=radios.get(receiver, own[0].realisation.impairments),
                )
            )
        self._engine = StreamEngine(
            stages,
            num_sources=len(self.transmitters),
            sample_rate_hz=sample_rate_hz,
            interval_samples=self.interval_samples,
            num_threads=num_threads,
        )

    def _link(
        self, pair: tuple[str, str], radios: Mapping[str, Impairments], sample_rate_hz: float
    ) -> StreamLink:
        """Return a link between two nodes, each with its oscillator where it has a radio."""
        oscillators = tuple(
            Oscillator.of_impairments(radios[name], sign=sign)
            for name, sign in zip(pair, (1, -1), strict=True)
            if name in radios
        )
        try:
            return StreamLink(
                self.realisations[pair],
                sample_rate_hz=sample_rate_hz,
                source=self.transmitters.index(pair[0]),
                amplitude=self.amplitudes[pair],
                oscillators=oscillators,
            )
        except ConfigError as exc:
            raise ConfigError(f"link {pair[0]} to {pair[1]}: {exc}") from exc

    @property
    def latency_samples(self) -> int:
        """Return the delay of all outputs, that of the link that needs most."""
        return self._engine.latency_samples

    @property
    def num_samples(self) -> int:
        """Return the number of samples processed so far."""
        return self._engine.num_samples

    def process(
        self, sent: Mapping[str, NDArray[np.complex64]]
    ) -> dict[str, NDArray[np.complex64]]:
        """Return what every receiver hears of the next samples, `latency_samples` late.

        Args:
            sent: Samples by transmitter, (num_samples,) complex64, all of one length; a
                transmitter that is left out is silent.

        Raises:
            SignalError: Samples of nobody, of different lengths, not one-dimensional complex, or
                not finite; a block of up to 262144 samples has changed nothing then.
            ConfigError: No such transmitter.
        """
        _check_names("sent", sent, self.transmitters)
        flat: dict[int, NDArray[np.float32]] = {}
        for name, samples in sent.items():
            iq = np.asarray(samples)
            if iq.ndim != 1 or not np.iscomplexobj(iq):
                raise SignalError(
                    f"{name}: iq must be complex (num_samples,), got {iq.dtype} {iq.shape}"
                )
            row = self.transmitters.index(name)
            flat[row] = np.ascontiguousarray(iq, np.complex64).view(np.float32)
        lengths = {len(values) // 2 for values in flat.values()}
        if len(lengths) != 1:
            raise SignalError(
                f"all transmitters must send equally many samples, got {sorted(lengths) or 'none'}"
            )
        count = lengths.pop()
        out = np.empty((len(self.receivers), 2 * count), np.float32)
        for begin in range(0, count, _PIECE):
            end = min(begin + _PIECE, count)
            block = np.zeros((len(self.transmitters), 2 * (end - begin)), np.float32)
            for row, values in flat.items():
                block[row] = values[2 * begin : 2 * end]
            self._engine.process(block, out[:, 2 * begin : 2 * end])
        return {name: row.view(np.complex64) for name, row in zip(self.receivers, out, strict=True)}

    def flush(self) -> dict[str, NDArray[np.complex64]]:
        """Return the `latency_samples` output samples that are still due, by feeding silence."""
        silence = np.zeros(self.latency_samples, np.complex64)
        return self.process({self.transmitters[0]: silence})


def _draw(front_end: FrontEnd, seed: int) -> Impairments:
    generator = torch.Generator().manual_seed(seed)
    return front_end.draw(1, generator=generator).select(0)


def _noise_power(name: str, noise_dbfs: float) -> float:
    check_level_db(f"noise_dbfs of {name}", noise_dbfs)
    return db_to_power(noise_dbfs)


def _by_name(
    what: str, value: float | Mapping[str, float], names: tuple[str, ...]
) -> dict[str, float]:
    """Return a value for every name."""
    if not isinstance(value, Mapping):
        return dict.fromkeys(names, value)
    _check_names(what, value, names)
    missing = [name for name in names if name not in value]
    if missing:
        raise ConfigError(f"{what} is missing for {', '.join(missing)}")
    return dict(value)


def _check_names(what: str, given: Iterable[str], names: tuple[str, ...]) -> None:
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
            raise ConfigError(f"{what}: no node {name!r} of that kind in the links; {hint}")


def _check_links(
    gains_db: Mapping[tuple[str, str], float], links: Mapping[tuple[str, str], ChannelModel]
) -> None:
    for pair, gain_db in gains_db.items():
        if pair not in links:
            raise ConfigError(f"gains_db: there is no link {pair[0]} to {pair[1]}")
        check_level_db(
            f"gains_db of {pair[0]} to {pair[1]}", gain_db, remedy="leave an absent link out"
        )
