"""phyemu.iq."""
