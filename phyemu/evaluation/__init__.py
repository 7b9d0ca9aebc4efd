"""phyemu.evaluation."""
