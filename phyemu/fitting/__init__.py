"""phyemu.fitting."""
