"""A PhyDNN at work: the device sends images by its head, the server answers with its tail."""

__all__: list[str] = []
