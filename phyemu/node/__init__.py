"""What runs on a radio node of Colosseum: its state machine, its daemon, its roles.

Nothing is imported here: the daemon answers within a second where torch takes several to load.
"""

__all__: list[str] = []
