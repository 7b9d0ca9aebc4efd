"""phyemu.link."""
