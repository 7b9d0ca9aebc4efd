"""The channels of several hops in one text."""

from phyemu.errors import ConfigError

__all__ = ["hop_specs"]

_BETWEEN = "//"


def hop_specs(text: str, num_hops: int) -> tuple[str, ...]:
    """Return the channel spec of each hop: `A//B` has one a hop, `A` one for all.

    >>> hop_specs("awgn:12//office-nlos", 2)
    ('awgn:12', 'office-nlos')
    >>> hop_specs("awgn:12", 2)
    ('awgn:12', 'awgn:12')

    Args:
        text: Channels as `phyemu.colosseum.load_channel_or_link` reads them, with `//` between.
        num_hops: Links of the network, >= 1.

    Raises:
        ConfigError: There are neither one nor `num_hops`, or one is empty.
    """
    specs = tuple(text.split(_BETWEEN))
    if len(specs) == 1:
        specs *= num_hops
    if len(specs) != num_hops or not all(specs):
        raise ConfigError(
            f"channel {text!r}: this network has {num_hops} hops; write one channel for all of "
            f"them, or {num_hops} with {_BETWEEN} between, from the device to the server"
        )
    return specs
