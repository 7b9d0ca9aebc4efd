"""phyemu closes the loop between real radios, a channel emulator and the training of PhyDNNs."""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("phyemu")
