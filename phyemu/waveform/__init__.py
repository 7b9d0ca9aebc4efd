"""phyemu.waveform."""
