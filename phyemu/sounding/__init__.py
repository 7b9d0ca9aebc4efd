"""phyemu.sounding."""
