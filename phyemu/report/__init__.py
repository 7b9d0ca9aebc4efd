"""phyemu.report."""
