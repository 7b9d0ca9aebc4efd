"""Role `transmit`: a recording goes out over and over, without a gap, until the stretch ends."""

import threading
from pathlib import Path
from typing import Any

from phyemu.channel.emulate import reference_level
from phyemu.errors import RadioError, RecordingError
from phyemu.iq import Recording, open_recording
from phyemu.node.node_log import write_json_atomically
from phyemu.node.roles.occupied_band import occupied_hz
from phyemu.node.roles.work import Stretch, WorkTask
from phyemu.radio import (
    Radio,
    Transmission,
    TransmitReport,
    TransmitSettings,
    amplitude_for_peak,
    transmit_recording,
    transmitted_samples,
)
from phyemu.radio.transmission import check_transmission
from phyemu.units import power_to_db

__all__ = ["Transmit"]

_POLL_S = 0.1
# A transmission that was stopped ends within this time [s].
_END_S = 20.0


class Transmit:
    """Sends the recording that radio.conf names; how it goes is in transmission.json."""

    def __init__(self, task: WorkTask) -> None:
        """Take note of the task."""
        self._task = task
        self._recording: Recording | None = None
        self._settings = TransmitSettings(repeats=None)
        self._power = 0.0
        self._ends: list[int] = []
        self._stretches: list[dict[str, Any]] = []
        self._transmission: Transmission | None = None
        self._written: dict[str, Any] = {}
        # Both threads write transmission.json.
        self._keeping = threading.Lock()

    def prepare(self, radio: Radio, stop: threading.Event) -> None:
        """Open the recording, find its peak, and set up the transmitter."""
        recording = self._recording = self._source(stop)
        check_transmission(radio, recording, self._settings)
        peak_dbfs = self._task.conf.transmit.peak_dbfs
        amplitude = amplitude_for_peak(recording, peak_dbfs)
        self._settings = TransmitSettings(repeats=None, amplitude=amplitude)
        self._power = reference_level(recording).power * amplitude**2
        self._ends = sorted(
            note.sample_start + (note.sample_count or 0) for note in recording.annotations
        )
        radio.prepare_transmission()

    def _source(self, stop: threading.Event) -> Recording:
        """Return what is sent, opened."""
        path = self._task.content / self._task.conf.transmit.recording
        if not path.exists():
            raise RecordingError(
                f"{path}: no such recording; put it into the image: phyemu colosseum package"
            )
        return open_recording(path)

    def _told(self, passes: float) -> dict[str, Any]:
        """Return what else transmission.json says of so many passes."""
        return {}

    @property
    def occupied_hz(self) -> float:
        """Return the band of what is sent [Hz]."""
        return 0.0 if self._recording is None else occupied_hz(self._recording)

    def run(self, radio: Radio, stretch: Stretch) -> None:
        """Send until the stretch ends."""
        recording = self._recording
        if recording is None:
            raise RadioError(f"{radio.name}: there is nothing to send yet")
        entry: dict[str, Any] = {
            "stretch": stretch.number,
            "center_frequency_hz": radio.center_frequency_hz,
            "begin_s": round(stretch.begin_s, 6),
            "settings": dict(radio.transmit_settings()),
            "samples": 0,
        }
        transmission = transmit_recording(radio, recording, self._settings)
        self._stretches.append(entry)
        self._transmission = transmission
        report: TransmitReport | None = None
        while report is None and not stretch.stop.is_set():
            report = transmission.wait(_POLL_S)
            entry["samples"] = transmission.num_samples
        if report is None:
            transmission.stop()
            report = transmission.wait(_END_S)
        if report is None:
            raise RadioError(f"{radio.name}: has not stopped transmitting within {_END_S:g} s")
        entry |= report.to_dict() | {"samples": report.num_samples}
        entry.pop("num_samples")
        self._transmission = None
        self.keep()
        if report.ended_by.is_failure:
            raise RadioError(f"{radio.name}: {report.line()}")

    def counts(self) -> dict[str, Any]:
        """Return how much was sent, and how."""
        recording = self._recording
        if recording is None:
            return {}
        stretches = [dict(entry) for entry in self._stretches]
        transmission = self._transmission
        if transmission is not None and stretches:
            stretches[-1]["samples"] = transmission.num_samples
        period = transmitted_samples(recording, self._settings)
        samples = [entry["samples"] for entry in stretches]
        # Every stretch begins with the first sample.
        frames = sum(self._frames_in(count, period) for count in samples)
        faults = ("underflows", "sequence_errors", "late", "clipped")
        return {
            "samples": sum(samples),
            "passes": round(sum(samples) / period, 3),
            "frames": frames if self._ends else None,
            "air_time_s": sum(samples) / recording.sample_rate_hz,
            **{name: sum(entry.get(name, 0) for entry in stretches) for name in faults},
        }

    def _frames_in(self, samples: int, period: int) -> int:
        passes, rest = divmod(samples, period)
        return passes * len(self._ends) + sum(end <= rest for end in self._ends)

    def keep(self) -> None:
        """Write transmission.json."""
        with self._keeping:
            self._keep()

    def _keep(self) -> None:
        recording = self._recording
        if recording is None or not self._stretches:
            return
        counts = self.counts()
        period = transmitted_samples(recording, self._settings)
        told = {
            "recording": recording.path.name,
            "sample_rate_hz": recording.sample_rate_hz,
            "amplitude": self._settings.amplitude,
            "peak_dbfs": self._task.conf.transmit.peak_dbfs,
            "power_dbfs": power_to_db(self._power),
            "pass_samples": period,
            "frames_per_pass": len(self._ends) or None,
            **counts,
            **self._told(counts["samples"] / period),
            "stretches": self._stretches,
        }
        if told != self._written:
            self._written = told | {"stretches": [dict(entry) for entry in self._stretches]}
            write_json_atomically(self._path, told)

    @property
    def _path(self) -> Path:
        return self._task.folder / "transmission.json"

    def close(self) -> None:
        """Close the recording."""
        if self._recording is not None:
            self._recording.close()
