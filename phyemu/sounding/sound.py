"""Sounding a recording: from samples to one `Sounding` per transmitter."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from phyemu.channel import ImpulseResponse
from phyemu.errors import ConfigError, SyncError
from phyemu.iq import Recording
from phyemu.progress import ProgressCallback, no_progress
from phyemu.sounding.alignment import AlignedFrames, align_by_clock, align_by_content
from phyemu.sounding.burst_hardware import BurstHardware
from phyemu.sounding.calibration import Calibration
from phyemu.sounding.config import Probe, SoundingConfig
from phyemu.sounding.front_end import FrontEndEstimate
from phyemu.sounding.paths import PathModel, extract_paths
from phyemu.sounding.probe_frames import ProbeFrames
from phyemu.sounding.recording_time import blocks_with_progress, radio_samples, sent_interval
from phyemu.sounding.reference_probe import find_reference_frames
from phyemu.sounding.sounder_probe import SounderMeasurement, find_bursts, measure_bursts
from phyemu.sounding.sounding import Sounding
from phyemu.sounding.transmitters import name_transmitters, separate_transmitters
from phyemu.sounding.wifi_probe import WifiMeasurement, find_wifi_frames
from phyemu.waveform.sounder import SounderFormat
from phyemu.wifi.preamble import WIFI_SAMPLE_RATE_HZ

__all__ = ["sound_recording"]

_SFO_WORTH_UNDOING_SAMPLES = 0.01
_MAX_SFO_STD_PPM = 1.0  # crystals differ by ten times as much


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Link:
    """What a probe delivers of one transmitter: frames on one delay axis, and the hardware."""

    aligned: AlignedFrames
    front_end: Callable[[ProbeFrames, NDArray[np.float64], NDArray[np.complex64]], FrontEndEstimate]
    transmitter_address: str | None = None


def sound_recording(
    recording: Recording,
    config: SoundingConfig | None = None,
    *,
    reference: Recording | None = None,
    calibration: Calibration | None = None,
    progress: ProgressCallback = no_progress,
    num_workers: int = 1,
) -> list[Sounding]:
    """Return the links that a recording holds, one per transmitter, the strongest first.

    The recording is streamed; only the frames found in it are kept. What is looked for is chosen
    by `config.probe`; by itself (`Probe.AUTO`) it is what the metadata of the recording or of the
    reference names, else the reference's samples, else 802.11 legacy preambles.

    Args:
        recording: Open recording; its channel `config.channel` is sounded.
        config: Settings; None for the defaults.
        reference: What was transmitted, where the recording itself does not say.
        calibration: Response of the front ends, to be divided out.
        progress: Told of each stage.
        num_workers: Threads that look for sounder bursts and measure them, >= 1; the result is the
            same for any number.

    Raises:
        SyncError: No frame of the probe was found; the message says what was looked for.
        SignalError: A sample is NaN or infinite, or the sample rate does not suit the probe or the
            calibration.
        ConfigError: The probe needs a reference or metadata that is not there.
    """
    config = config or SoundingConfig()
    if config.channel >= recording.num_channels:
        raise ConfigError(
            f"{recording.path.name}: has {recording.num_channels} channel(s), there is no channel "
            f"{config.channel}; count from 0"
        )
    probe, sounder_format = _choose_probe(recording, config, reference)
    if probe is Probe.SOUNDER and sounder_format is not None:
        links = _sound_bursts(recording, sounder_format, config, progress, num_workers)
    elif probe is Probe.REFERENCE and reference is not None:
        frames = find_reference_frames(
            recording, reference, channel=config.channel, progress=progress
        )
        index = separate_transmitters(frames, min_frames=config.min_frames)
        links = _content_links([frames.select(one) for one in index], recording)
    else:
        found = _wifi_frames(recording, config, progress)
        links = _wifi_links(found, recording, config)
    soundings: list[Sounding] = []
    for transmitter, link in enumerate(links):
        soundings.append(_finish(link, recording, config, transmitter, calibration))
        progress("extract paths", transmitter + 1, len(links))
    return soundings


def _choose_probe(
    recording: Recording, config: SoundingConfig, reference: Recording | None
) -> tuple[Probe, SounderFormat | None]:
    named = [
        item.global_fields["phyemu:sounder"]
        for item in (recording, reference)
        if item is not None
        and item.global_fields.get("phyemu:waveform") == "sounder"
        and "phyemu:sounder" in item.global_fields
    ]
    if config.probe in (Probe.AUTO, Probe.SOUNDER) and named:
        formats = [SounderFormat.from_dict(settings) for settings in named]
        if reference is not None and formats[0] != formats[-1]:
            raise ConfigError(
                f"{recording.path.name}: its metadata name another sounder than those of "
                f"{reference.path.name}; give the waveform that was sent, or leave --reference out"
            )
        return Probe.SOUNDER, formats[0]
    if config.probe is Probe.SOUNDER:
        raise ConfigError(
            f"{recording.path.name}: its metadata name no sounder (phyemu:sounder); give what was "
            f"transmitted with --reference tx.sigmf"
        )
    if config.probe is Probe.REFERENCE and reference is None:
        raise ConfigError(
            f"{recording.path.name}: probing with a reference needs the recording that was "
            f"transmitted; give it with --reference tx.sigmf"
        )
    if config.probe is Probe.REFERENCE or (config.probe is Probe.AUTO and reference is not None):
        return Probe.REFERENCE, None
    return Probe.WIFI, None


def _wifi_frames(
    recording: Recording, config: SoundingConfig, progress: ProgressCallback
) -> WifiMeasurement:
    if not math.isclose(recording.sample_rate_hz, WIFI_SAMPLE_RATE_HZ, rel_tol=1e-3):
        raise SyncError(
            f"{recording.path.name}: no probe: {_named_waveform(recording)}, and Wi-Fi preambles "
            f"are looked for at 20 Msps only, not at "
            f"{recording.sample_rate_hz / 1e6:g}; give what was transmitted with --reference "
            f"tx.sigmf"
        )
    blocks = blocks_with_progress(
        recording, channel=config.channel, stage="find Wi-Fi frames", progress=progress
    )
    found = find_wifi_frames(
        blocks,
        lambda start, count: recording.read(
            start, min(count, recording.num_samples - start), channel=config.channel
        ),
        sample_rate_hz=recording.sample_rate_hz,
        progress=progress,
    )
    if found is None:
        raise SyncError(
            f"{recording.path.name}: no probe found in {recording.num_samples} samples: "
            f"{_named_waveform(recording)}, and there is no 802.11 legacy preamble; give what "
            f"was transmitted with --reference tx.sigmf"
        )
    return found


def _named_waveform(recording: Recording) -> str:
    """Return what the metadata say of the waveform, as part of an error message."""
    if recording.global_fields.get("phyemu:waveform") == "frames":
        return "the metadata name phyemu frames, which serve as a probe only with --reference"
    return "the metadata name no phyemu sounder"


def _content_links(links: list[ProbeFrames], recording: Recording) -> list[_Link]:
    """Return the links, each aligned by what its frames hold."""

    def no_front_end(
        frames: ProbeFrames, delays_s: NDArray[np.float64], gains: NDArray[np.complex64]
    ) -> FrontEndEstimate:
        return FrontEndEstimate()

    return [
        _Link(
            aligned=align_by_content(frames, sample_rate_hz=recording.sample_rate_hz),
            front_end=no_front_end,
        )
        for frames in links
    ]


def _wifi_links(
    found: WifiMeasurement, recording: Recording, config: SoundingConfig
) -> list[_Link]:
    """Return the links of Wi-Fi transmitters, with their names and clocks where frames tell."""
    index = separate_transmitters(found.legacy_frames, min_frames=config.min_frames)
    links = _content_links([found.link_frames(one) for one in index], recording)
    names = name_transmitters(found.table, index)
    named: list[_Link] = []
    for link, one, name in zip(links, index, names, strict=True):
        aligned = link.aligned
        sfo_ppm, sfo_std_ppm = found.link_clock(one)
        if sfo_std_ppm <= _MAX_SFO_STD_PPM:
            aligned = replace(aligned, sfo_ppm=sfo_ppm, sfo_std_ppm=sfo_std_ppm)
        named.append(replace(link, aligned=aligned, transmitter_address=name))
    return named


def _sound_bursts(
    recording: Recording,
    sounder_format: SounderFormat,
    config: SoundingConfig,
    progress: ProgressCallback,
    num_workers: int,
) -> list[_Link]:
    bursts = find_bursts(
        recording,
        sounder_format,
        channel=config.channel,
        progress=progress,
        num_workers=num_workers,
    )
    if not bursts:
        raise SyncError(
            f"{recording.path.name}: no sounder burst found in {recording.num_samples} samples "
            f"(period {sounder_format.length} samples, {sounder_format.repetitions} repetitions, "
            f"carrier offset up to 100 kHz); check that this is the waveform that was sent, or "
            f"record longer or with more gain"
        )

    def measure(index: NDArray[np.int64], sfo_ppm: float) -> SounderMeasurement:
        return measure_bursts(
            recording,
            [bursts[position] for position in index.tolist()],
            sounder_format,
            channel=config.channel,
            band_edge_fraction=config.band_edge_fraction,
            sfo_ppm=sfo_ppm,
            progress=progress,
            num_workers=num_workers,
        )

    everything = measure(np.arange(len(bursts)), 0.0)
    links: list[_Link] = []
    for index in separate_transmitters(everything.frames, min_frames=config.min_frames):
        frames = everything.frames.select(index)
        measurement, own = everything, index
        aligned = align_by_clock(frames, sample_rate_hz=recording.sample_rate_hz)
        if aligned is not None and _drifts(aligned, sounder_format):
            measurement, own = measure(index, aligned.sfo_ppm), np.arange(len(index))
            aligned = align_by_clock(measurement.frames, sample_rate_hz=recording.sample_rate_hz)
        if aligned is None:
            aligned = align_by_content(frames, sample_rate_hz=recording.sample_rate_hz)
        elif not sent_interval(recording, sounder_format.interval_samples)[1]:
            aligned = replace(aligned, sfo_ppm=float("nan"), sfo_std_ppm=float("nan"))
        phases = measurement.phase_rad[own], measurement.phase_variance[own]
        links.append(
            _Link(
                aligned=aligned,
                front_end=BurstHardware(
                    recording, sounder_format, config.channel, measurement, phases
                ),
            )
        )
    return links


def _drifts(aligned: AlignedFrames, sounder_format: SounderFormat) -> bool:
    """Return whether the delay moves within a burst by what is both real and worth undoing."""
    drift = abs(aligned.sfo_ppm) * 1e-6 * sounder_format.burst_samples
    return drift > _SFO_WORTH_UNDOING_SAMPLES and abs(aligned.sfo_ppm) > 2.0 * aligned.sfo_std_ppm


def _finish(
    link: _Link,
    recording: Recording,
    config: SoundingConfig,
    transmitter: int,
    calibration: Calibration | None,
) -> Sounding:
    """Return the result of one link: paths, delay 0 at the first of them, and powers in dB."""
    rate = recording.sample_rate_hz
    frames = link.aligned.frames
    time_s = radio_samples(recording, frames.sample_start.astype(np.float64)) / rate
    interval_s = float(np.median(np.diff(time_s))) if frames.num_frames > 1 else frames.period_s

    def paths_of(frames: ProbeFrames, noise_variance: NDArray[np.float64]) -> ImpulseResponse:
        return extract_paths(
            frames.transfer,
            noise_variance=noise_variance,
            frequencies_hz=frames.frequencies_hz,
            period_s=frames.period_s,
            interval_s=interval_s,
            model=PathModel(
                max_paths=config.max_paths,
                dynamic_range_db=config.dynamic_range_db,
                false_path_rate=config.false_path_rate,
                ghost_lags_s=frames.ghost_lags_s,
            ),
        )

    # The hardware is measured on what arrived, with the front ends in it.
    paths = paths_of(frames, frames.noise_variance)
    front_end = link.front_end(frames, paths.delays_s.numpy(), paths.gains.numpy())
    if calibration is not None:
        name = recording.path.name
        calibration.check(recording_name=name, sample_rate_hz=rate, probe=frames.probe)
        frames, search_noise = calibration.applied(
            frames, recording_name=name, false_path_rate=config.false_path_rate
        )
        paths = paths_of(frames, search_noise)
    first_s = float(paths.delays_s.min())
    frames = frames.delayed(np.full(frames.num_frames, first_s * rate), rate)
    power = frames.received_power
    noise_density = np.maximum(frames.noise_density, 1e-30)
    return Sounding(
        probe=frames.probe,
        sample_rate_hz=rate,
        bandwidth_hz=frames.bandwidth_hz,
        center_frequency_hz=recording.center_frequency_hz,
        transmitter=transmitter,
        sample_start=frames.sample_start,
        time_s=time_s,
        frequencies_hz=frames.frequencies_hz,
        transfer=frames.transfer,
        noise_variance=frames.noise_variance,
        cfo_hz=frames.cfo_hz,
        sfo_ppm=np.full(frames.num_frames, link.aligned.sfo_ppm),
        cn0_dbhz=10.0 * np.log10(power / noise_density),
        received_power_dbfs=10.0 * np.log10(power),
        noise_floor_dbfs=10.0 * np.log10(np.maximum(frames.noise_floor, 1e-30)),
        confidence=frames.confidence,
        paths=type(paths)(paths.gains, paths.delays_s - first_s, paths.interval_s),
        front_end=front_end,
        transmitter_address=link.transmitter_address,
        wifi=frames.wifi,
        recording_name=recording.path.name,
        recording_sha512=recording.sha512,
        provenance={
            "made_by": f"phyemu {version('phyemu')}",
            "settings": {key: str(value) for key, value in asdict(config).items()},
            **({} if calibration is None else {"calibration": calibration.describe()}),
        },
    )
