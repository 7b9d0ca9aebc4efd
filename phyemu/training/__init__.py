"""phyemu.training."""
