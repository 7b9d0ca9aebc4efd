"""SigMF recordings: open, stream, write, annotate, verify."""

from phyemu.iq.amend import amend_recording
from phyemu.iq.collection import base_name, recordings_in, stored_bytes
from phyemu.iq.metadata import Annotation, CaptureSegment, Metadata
from phyemu.iq.recording import Recording, open_recording
from phyemu.iq.repair import Repair, repair_recording
from phyemu.iq.sample_format import SampleFormat, sample_format
from phyemu.iq.survey import SampleSurvey, survey_samples
from phyemu.iq.writer import RecordingWriter, write_recording

__all__ = [
    "Annotation",
    "CaptureSegment",
    "Metadata",
    "Recording",
    "RecordingWriter",
    "Repair",
    "SampleFormat",
    "SampleSurvey",
    "amend_recording",
    "base_name",
    "open_recording",
    "recordings_in",
    "repair_recording",
    "sample_format",
    "stored_bytes",
    "survey_samples",
    "write_recording",
]
