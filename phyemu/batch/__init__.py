"""Colosseum's batch jobs: what they are told, how they are rehearsed, what they bring home."""

__all__: list[str] = []
