"""Every error that phyemu raises on purpose.

PhyemuError
├── ConfigError      (ValueError)  a setting is out of range, unknown, or contradicts another
├── RecordingError                 a SigMF recording cannot be opened, read, written or trusted
├── SignalError      (ValueError)  samples or tensors of the wrong shape, type, rate or content
├── SyncError                      a waveform could not be detected or synchronised
├── FitError                       measurements do not support the fit that was asked for
├── StoreError                     an HDF5 file is not what it should be
├── DatasetError                   images or labels are missing or malformed
├── CheckpointError                a checkpoint or an exported model does not fit or is damaged
├── TrainingError                  a training has left the finite numbers
├── DistributedError               another process of a training that several share has ended
├── ScenarioError                  a Colosseum scenario violates a limit of the emulator
├── ImageError                     a container image cannot be read, trusted or built
├── MeterError                     an energy meter is missing, may not be read, or failed
├── RadioError                     a radio is missing, refused a setting, or vanished
└── TransportError                 an end of a live stream cannot be opened, or failed

A message is one line: what is wrong, where, what is allowed, what was given, and the remedy.
"""

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DatasetError",
    "FitError",
    "ImageError",
    "MeterError",
    "PhyemuError",
    "RadioError",
    "RecordingError",
    "ScenarioError",
    "SignalError",
    "StoreError",
    "SyncError",
    "TrainingError",
    "TransportError",
]


class PhyemuError(Exception):
    """Base of all errors that phyemu raises on purpose."""


class ConfigError(PhyemuError, ValueError):
    """A setting is out of range, unknown, or contradicts another."""


class RecordingError(PhyemuError):
    """A SigMF recording cannot be opened, read, written or trusted."""


class SignalError(PhyemuError, ValueError):
    """Samples or tensors have the wrong shape, type, rate or content."""


class SyncError(PhyemuError):
    """A waveform could not be detected or synchronised."""


class FitError(PhyemuError):
    """The measurements do not support the fit that was asked for."""


class StoreError(PhyemuError):
    """An HDF5 file is not what it should be."""


class DatasetError(PhyemuError):
    """Images or labels are missing or malformed."""


class CheckpointError(PhyemuError):
    """A checkpoint or an exported model does not fit or is damaged."""


class TrainingError(PhyemuError):
    """A training has left the finite numbers."""


class DistributedError(PhyemuError):
    """Another process of a training that several share has ended."""


class ScenarioError(PhyemuError):
    """A Colosseum scenario violates a limit of the emulator."""


class ImageError(PhyemuError):
    """A container image, or the base of one, cannot be read, trusted or built."""


class MeterError(PhyemuError):
    """An energy meter is missing, may not be read, or failed."""


class RadioError(PhyemuError):
    """A radio is missing, refused a setting, or vanished."""


class TransportError(PhyemuError):
    """An end of a live stream cannot be opened, or failed."""
