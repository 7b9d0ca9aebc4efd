"""phyemu.datasets."""
