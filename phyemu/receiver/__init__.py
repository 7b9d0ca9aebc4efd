"""phyemu.receiver."""
