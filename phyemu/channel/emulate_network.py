"""Recordings through a network: what `phyemu emulate --network` does."""

import difflib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.channel.emulate import ReferenceLevel, check_rate, reference_level
from phyemu.channel.model import ChannelModel
from phyemu.channel.network import ChannelNetwork
from phyemu.channel.network_settings import NetworkSettings
from phyemu.channel.spec import load_channel
from phyemu.errors import ConfigError
from phyemu.iq import Recording, RecordingWriter
from phyemu.progress import ProgressCallback, no_progress
from phyemu.units import power_to_db

__all__ = ["NetworkEmulation", "emulate_network", "output_of"]

_BLOCK = 1 << 18


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkEmulation:
    """What a network made of recordings.

    Attributes:
        outputs: File of each receiver.
        heard: Transmitters that each receiver hears.
        silent: Transmitters of the network that had no recording.
        num_samples: Samples written, of each receiver.
        num_clipped: Of them, clipped by the output's datatype, by receiver.
        sample_rate_hz: Rate [Hz].
        noise_dbfs: Noise power of each receiver [dBFS].
        references: What the SNRs of each transmitter refer to.
        latency_samples: Delay of the emulator, already taken out of the outputs.
    """

    outputs: dict[str, Path]
    heard: dict[str, tuple[str, ...]]
    silent: tuple[str, ...]
    num_samples: int
    num_clipped: dict[str, int]
    sample_rate_hz: float
    noise_dbfs: dict[str, float]
    references: dict[str, ReferenceLevel]
    latency_samples: int

    def summary(self) -> dict[str, Any]:
        """Return the facts for `--json`."""
        return {
            "receivers": {
                name: {
                    "output": str(output),
                    "hears": list(self.heard[name]),
                    "noise_dbfs": self.noise_dbfs[name],
                    "clipped": self.num_clipped[name],
                }
                for name, output in self.outputs.items()
            },
            "transmitters": {
                name: {
                    "reference_power_dbfs": power_to_db(reference.power),
                    "symbol_rate_hz": reference.symbol_rate_hz,
                    "reference_measured": reference.measured,
                }
                for name, reference in self.references.items()
            },
            "silent": list(self.silent),
            "samples": self.num_samples,
            "sample_rate_hz": self.sample_rate_hz,
            "latency_samples": self.latency_samples,
        }


def output_of(template: str, receiver: str) -> Path:
    """Return the file of a receiver: `template` with {node} replaced by its name."""
    return Path(template.replace("{node}", receiver))


def emulate_network(
    recordings: Mapping[str, Recording],
    settings: NetworkSettings,
    output: str,
    *,
    seed: int,
    interval_s: float = 1e-3,
    num_threads: int = 1,
    force: bool = False,
    load: Callable[[str], ChannelModel] = load_channel,
    progress: ProgressCallback = no_progress,
) -> NetworkEmulation:
    """Send recordings through a network and write what each receiver hears.

    All recordings begin together; where one has ended, its transmitter is silent, and so is a
    transmitter without a recording. The emulator's latency is taken out. A receiver's recording
    keeps the annotations of all that it hears, each with its transmitter's name, and what the
    metadata of all of them agree on.

    Args:
        recordings: What is sent, by transmitter; the first channel of each.
        settings: The network.
        output: Recording to write for each receiver, {node} in it standing for its name.
        seed: Everything random comes from it and the names.
        interval_s: Time between two updates of the gains [s].
        num_threads: Threads that share the work.
        force: Overwrite existing outputs.
        load: Returns the channel that a link's spec names.
        progress: Told after each block.

    Raises:
        ConfigError: A name is no transmitter, rates differ, or receivers share an output.
        SignalError: Samples are not finite, or there is nothing to refer an SNR to.
        RecordingError: An output cannot be written.
    """
    rate_hz = _check(recordings, settings)
    links: dict[tuple[str, str], ChannelModel] = {}
    gains_db: dict[tuple[str, str], float] = {}
    for link in settings.links:
        if link.transmitter in recordings:
            pair = link.transmitter, link.receiver
            links[pair] = load(link.channel)
            gains_db[pair] = link.gain_db
            check_rate(recordings[link.transmitter], links[pair])
    receivers = tuple(dict.fromkeys(receiver for _, receiver in links))
    outputs = {name: output_of(output, name) for name in receivers}
    if len(set(outputs.values())) < len(outputs):
        raise ConfigError(
            f"{output}: {len(outputs)} receivers ({', '.join(receivers)}) need a file each; put "
            "{node} into the name"
        )
    references = {name: reference_level(recording) for name, recording in recordings.items()}
    nodes = {
        name: settings.nodes[name] for pair in links for name in pair if name in settings.nodes
    }
    network = ChannelNetwork(
        links,
        sample_rate_hz=rate_hz,
        symbol_rate_hz={name: level.symbol_rate_hz for name, level in references.items()},
        reference_power={name: level.power for name, level in references.items()},
        seed=seed,
        gains_db=gains_db,
        noise_dbfs={
            name: node.noise_dbfs
            for name, node in nodes.items()
            if node.noise_dbfs is not None and name in receivers
        },
        front_ends={name: node.front_end for name, node in nodes.items()},
        interval_s=interval_s,
        num_threads=num_threads,
    )
    heard = {
        name: tuple(sender for sender, receiver in links if receiver == name) for name in receivers
    }
    total = max(recording.num_samples for recording in recordings.values())
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(
                RecordingWriter(
                    outputs[name],
                    sample_rate_hz=rate_hz,
                    datatype="cf32_le",
                    center_frequency_hz=recordings[heard[name][0]].center_frequency_hz,
                    description=f"{', '.join(heard[name])} as heard by {name} (emulated network)",
                    global_fields=_shared_fields([recordings[sender] for sender in heard[name]])
                    | {
                        "phyemu:channel": ",".join(
                            links[sender, name].name for sender in heard[name]
                        ),
                        "phyemu:channel_seed": seed,
                        "phyemu:emulated": True,
                    },
                    force=force,
                )
            )
            for name in receivers
        }
        skip = network.latency_samples
        for begin in range(0, total + network.latency_samples, _BLOCK):
            count = min(_BLOCK, total + network.latency_samples - begin)
            sent = {name: _read(item, begin, count) for name, item in recordings.items()}
            dropped = min(skip, count)
            skip -= dropped
            for name, samples in network.process(sent).items():
                writers[name].write(samples[dropped:])
            progress("emulate", min(begin + count, total), total)
        for name, writer in writers.items():
            for sender in heard[name]:
                for annotation in recordings[sender].annotations:
                    fields = {**annotation.fields, "phyemu:transmitter": sender}
                    writer.annotate(replace(annotation, fields=fields))
        clipped = {name: writer.num_clipped for name, writer in writers.items()}
        written = {name: writer.close() for name, writer in writers.items()}
    return NetworkEmulation(
        outputs=written,
        heard=heard,
        silent=tuple(
            name
            for name in dict.fromkeys(link.transmitter for link in settings.links)
            if name not in recordings
        ),
        num_samples=total,
        num_clipped=clipped,
        sample_rate_hz=rate_hz,
        noise_dbfs={name: power_to_db(value) for name, value in network.noise_variances.items()},
        references=references,
        latency_samples=network.latency_samples,
    )


def _check(recordings: Mapping[str, Recording], settings: NetworkSettings) -> float:
    """Return the sample rate of all recordings, or raise ConfigError."""
    transmitters = list(dict.fromkeys(link.transmitter for link in settings.links))
    if not recordings:
        raise ConfigError(f"nobody sends anything; the transmitters are {', '.join(transmitters)}")
    for name in recordings:
        if name not in transmitters:
            near = difflib.get_close_matches(name, transmitters, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(transmitters)}"
            raise ConfigError(f"no link begins at a node {name!r}; {hint}")
    rates = {recording.sample_rate_hz for recording in recordings.values()}
    if len(rates) > 1:
        listed = ", ".join(
            f"{name} {recording.sample_rate_hz / 1e6:g} MHz"
            for name, recording in recordings.items()
        )
        raise ConfigError(f"a network has one sample rate, but the recordings differ: {listed}")
    return rates.pop()


def _read(recording: Recording, begin: int, count: int) -> NDArray[np.complex64]:
    """Return samples of a recording, silence beyond its end."""
    iq = np.zeros(count, np.complex64)
    there = min(count, max(0, recording.num_samples - begin))
    if there:
        iq[:there] = recording.read(begin, there)
    return iq


def _shared_fields(recordings: list[Recording]) -> dict[str, Any]:
    """Return our metadata that all recordings agree on."""
    first = recordings[0].global_fields
    return {
        key: value
        for key, value in first.items()
        if key.startswith("phyemu:")
        and all(recording.global_fields.get(key) == value for recording in recordings[1:])
    }
