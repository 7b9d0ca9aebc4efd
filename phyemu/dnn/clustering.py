"""The start of the embeddings: k-means over the slices of the whole training set (Sec. III-B)."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phyemu.errors import ConfigError

from .assignment import assign_to_constellation
from .embedding import Score
from .modes import evaluating
from .phydnn import PhyDnn
from .symbol_tuples import tuple_points

__all__ = ["start_embeddings"]

_CHUNK = 65_536  # slices that one k-means update sees; the first chunk seeds the centres


def start_embeddings(
    model: PhyDnn,
    images: Iterable[Tensor],
    *,
    points: Tensor,
    seed: int,
    slices_per_image: int | None = None,
) -> None:
    """Set the embeddings, in place, to the centres of the head's slices, near ones adjacent.

    One pass of mini-batch k-means over all images for each codebook: the second clusters what the
    first leaves of the slices. With distance scores the scale is set as well, to 1 / (2 v) with v
    the variance of the slices about their centres, per dimension: Eq. (2) is then the posterior of
    a Gaussian mixture. Inner-product scores keep theirs, as in the paper.

    Args:
        model: Its head is evaluated without augmentation of its own; modes are restored.
        images: Batches (batch, channels, height, width) of the training set, on its device; of
            several codebooks they are run through as often, so an iterator will not do.
        points: Constellation of the M_c symbols, (M_c,) complex.
        seed: Of the thinning, the first centres and the placement.
        slices_per_image: Random slices taken of each image; None takes all (CIFAR at 1024 an
            image: 51 million). 64 are plenty.

    Raises:
        ConfigError: There are fewer slices than embeddings, or not one point a symbol.
    """
    embedding = model.embedding
    if len(points) != embedding.order:
        raise ConfigError(f"{embedding.order} symbols need as many points, got {len(points)}")
    if slices_per_image is not None and slices_per_image < 1:
        raise ConfigError(f"slices_per_image must be at least 1, got {slices_per_image}")
    places = tuple_points(points, embedding.symbols_per_choice)
    books: list[Tensor] = []
    scales: list[float] = []
    for _ in range(embedding.num_codebooks):
        with evaluating(model):
            chunks = _chunks(model, images, slices_per_image, seed)
            rest = (_left_by(books, chunk) for chunk in chunks)
            centres, variance = _centres(rest, embedding.num_embeddings, seed)
        order = assign_to_constellation(centres, places, seed=seed)
        books.append(centres[order])
        scales.append(1 / max(2 * variance, 1e-12))
    with torch.no_grad():
        embedding.vectors.copy_(torch.cat(books))
        if embedding.score is Score.DISTANCE:
            scale = embedding.score_scale
            scale.copy_(torch.tensor(scales).reshape(scale.shape))


def _left_by(books: Sequence[Tensor], slices: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return slices less the nearest embedding of each codebook, one after the other."""
    rest = torch.from_numpy(slices)
    for book in books:
        nearest = torch.addmm(-book.square().sum(1) / 2, rest, book.T).argmax(1)
        rest = rest - book[nearest]
    left: NDArray[np.float32] = rest.numpy()
    return left


def _centres(
    chunks: Iterable[NDArray[np.float32]], num_centres: int, seed: int
) -> tuple[Tensor, float]:
    """Return the centres of slices, (num_centres, D), and the variance about them."""
    from sklearn.cluster import MiniBatchKMeans

    kmeans = MiniBatchKMeans(n_clusters=num_centres, random_state=seed, batch_size=_CHUNK, n_init=1)
    first: NDArray[np.float32] | None = None
    for chunk in chunks:
        if len(chunk) < num_centres:
            if first is None:
                raise ConfigError(f"{len(chunk)} slices are too few for {num_centres} embeddings")
            continue  # a remainder of a few slices changes no centre
        first = chunk if first is None else first
        kmeans.partial_fit(chunk)
    if first is None:
        raise ConfigError("k-means needs images, got none")
    residual = first - kmeans.cluster_centers_[kmeans.predict(first)]
    variance = float(np.square(residual, dtype=np.float64).mean())
    return torch.from_numpy(kmeans.cluster_centers_).float(), variance


def _chunks(
    model: PhyDnn, images: Iterable[Tensor], slices_per_image: int | None, seed: int
) -> Iterator[NDArray[np.float32]]:
    """Yield (num_slices, D) arrays of about `_CHUNK` slices."""
    generator = torch.Generator().manual_seed(seed)
    waiting: list[NDArray[np.float32]] = []
    num_waiting = 0
    for batch in images:
        slices = model.slices(batch)
        if slices_per_image is not None and slices_per_image < slices.shape[1]:
            draws = torch.rand(slices.shape[:2], generator=generator)
            chosen = draws.topk(slices_per_image, dim=1).indices.to(slices.device)
            slices = slices.take_along_dim(chosen[:, :, None], 1)
        waiting.append(slices.flatten(0, 1).float().cpu().numpy())
        num_waiting += len(waiting[-1])
        if num_waiting >= _CHUNK:
            yield np.concatenate(waiting)
            waiting, num_waiting = [], 0
    if waiting:
        yield np.concatenate(waiting)
