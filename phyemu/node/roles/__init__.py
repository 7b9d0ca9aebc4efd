"""What a node does with its radio, a module for each role; the worker process loads only its own.

Nothing is imported here: a capture needs no DNN.
"""

__all__: list[str] = []
