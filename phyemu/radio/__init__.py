"""phyemu.radio."""
