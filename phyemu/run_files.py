"""What the files of a training run's folder are called, whoever writes them or looks for them."""

__all__ = ["BACKBONE_NAME", "CONFIG_NAME", "METRICS_NAME", "SESSIONS_NAME", "WEIGHTS_NAME"]

CONFIG_NAME = "config.toml"
METRICS_NAME = "metrics.json"
"""Written last: who finds it finds a whole run."""

SESSIONS_NAME = "sessions.json"
"""On what it was computed, each time that somebody worked on it."""

BACKBONE_NAME = "backbone.safetensors"
"""Of a PhyDNN's run, and of its checkpoint: the network without a radio."""

WEIGHTS_NAME = "weights.safetensors"
"""Of a baseline's run: the network with its bottleneck, or as it was given."""
