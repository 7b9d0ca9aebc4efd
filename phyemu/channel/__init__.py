"""phyemu.channel."""
