"""Channel models, their two executors, impairments, and the HDF5 store."""

from phyemu.channel.awgn import Awgn, add_awgn
from phyemu.channel.distribution import Distribution
from phyemu.channel.doppler import DopplerSpectrum, doppler_autocorrelation
from phyemu.channel.empirical import EmpiricalChannel
from phyemu.channel.fading import FadingProcess
from phyemu.channel.impairments import FrontEnd, Impairments
from phyemu.channel.measured import MeasuredChannel, Playback
from phyemu.channel.mixture import Mixture
from phyemu.channel.model import (
    ChannelDraw,
    ChannelModel,
    ChannelRealisation,
    Interpolation,
    draw_of,
)
from phyemu.channel.noise_level import NoiseLevel, noise_variance
from phyemu.channel.profiles import DelayProfile, tdl_profile, tgn_profile
from phyemu.channel.response import ImpulseResponse
from phyemu.channel.tapped_delay_line import TappedDelayLine, tdl, tgn

__all__ = [
    "Awgn",
    "ChannelDraw",
    "ChannelModel",
    "ChannelRealisation",
    "DelayProfile",
    "Distribution",
    "DopplerSpectrum",
    "EmpiricalChannel",
    "FadingProcess",
    "FrontEnd",
    "Impairments",
    "ImpulseResponse",
    "Interpolation",
    "MeasuredChannel",
    "Mixture",
    "NoiseLevel",
    "Playback",
    "TappedDelayLine",
    "add_awgn",
    "doppler_autocorrelation",
    "draw_of",
    "noise_variance",
    "tdl",
    "tdl_profile",
    "tgn",
    "tgn_profile",
]
