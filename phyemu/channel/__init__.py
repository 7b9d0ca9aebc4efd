"""Channel models, their two executors, impairments, and the HDF5 store."""

from phyemu.channel.apply import apply_response
from phyemu.channel.awgn import Awgn, AwgnRange, add_awgn
from phyemu.channel.converter import apply_converter
from phyemu.channel.distribution import Distribution
from phyemu.channel.doppler import DopplerSpectrum, doppler_autocorrelation
from phyemu.channel.drift import LargeScaleDrift
from phyemu.channel.empirical import EmpiricalChannel
from phyemu.channel.envelope import FadingFamily
from phyemu.channel.fading import FadingProcess
from phyemu.channel.hdf5 import StoreReader, StoreWriter
from phyemu.channel.impairments import FrontEnd, Impairments
from phyemu.channel.layer import ChannelLayer, apply_draw
from phyemu.channel.measured import MeasuredChannel, Playback
from phyemu.channel.mixture import Mixture
from phyemu.channel.model import (
    ChannelDraw,
    ChannelModel,
    ChannelRealisation,
    Interpolation,
    draw_of,
)
from phyemu.channel.network import ChannelNetwork
from phyemu.channel.noise_level import NoiseLevel, noise_variance
from phyemu.channel.oscillator import offset_clock, rotate_carrier
from phyemu.channel.profiles import DelayProfile, tdl_profile, tgn_profile
from phyemu.channel.response import ImpulseResponse
from phyemu.channel.spec import channel_files, load_channel, with_snr
from phyemu.channel.store import load_model, load_responses, save_model, save_responses
from phyemu.channel.stream import ChannelStream
from phyemu.channel.summary import summarise_model
from phyemu.channel.tapped_delay_line import TappedDelayLine, tdl, tgn
from phyemu.channel.widened import Widened
from phyemu.channel.worlds import World, world, world_names

__all__ = [
    "Awgn",
    "AwgnRange",
    "ChannelDraw",
    "ChannelLayer",
    "ChannelModel",
    "ChannelNetwork",
    "ChannelRealisation",
    "ChannelStream",
    "DelayProfile",
    "Distribution",
    "DopplerSpectrum",
    "EmpiricalChannel",
    "FadingFamily",
    "FadingProcess",
    "FrontEnd",
    "Impairments",
    "ImpulseResponse",
    "Interpolation",
    "LargeScaleDrift",
    "MeasuredChannel",
    "Mixture",
    "NoiseLevel",
    "Playback",
    "StoreReader",
    "StoreWriter",
    "TappedDelayLine",
    "Widened",
    "World",
    "add_awgn",
    "apply_converter",
    "apply_draw",
    "apply_response",
    "channel_files",
    "doppler_autocorrelation",
    "draw_of",
    "load_channel",
    "load_model",
    "load_responses",
    "noise_variance",
    "offset_clock",
    "rotate_carrier",
    "save_model",
    "save_responses",
    "summarise_model",
    "tdl",
    "tdl_profile",
    "tgn",
    "tgn_profile",
    "with_snr",
    "world",
    "world_names",
]
