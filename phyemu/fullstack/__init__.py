"""The way of a payload through the whole stack: TCP or UDP, IP, and IEEE 802.11a."""

from phyemu.fullstack.channel_link import wifi_link
from phyemu.fullstack.effective_snr import effective_snr_db
from phyemu.fullstack.link import BITS_PER_CARRIER, SnrTrace, WifiLink
from phyemu.fullstack.model import transfer
from phyemu.fullstack.ns3_engine import available_engine, run_transfer, transfer_ns3
from phyemu.fullstack.ns3_program import why_no_ns3
from phyemu.fullstack.protocol import Protocol
from phyemu.fullstack.rates import RATES_MBPS, PhyRate, phy_rate
from phyemu.fullstack.summary import TransferSummary, summarise
from phyemu.fullstack.transfer import Engine, Transfer

__all__ = [
    "BITS_PER_CARRIER",
    "RATES_MBPS",
    "Engine",
    "PhyRate",
    "Protocol",
    "SnrTrace",
    "Transfer",
    "TransferSummary",
    "WifiLink",
    "available_engine",
    "effective_snr_db",
    "phy_rate",
    "run_transfer",
    "summarise",
    "transfer",
    "transfer_ns3",
    "why_no_ns3",
    "wifi_link",
]
