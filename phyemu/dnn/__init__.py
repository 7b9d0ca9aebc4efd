"""phyemu.dnn."""
