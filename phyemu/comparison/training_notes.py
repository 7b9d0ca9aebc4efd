"""What stands below accuracies: the images and seeds they are of, and how long runs trained."""

from .cell import CellKind
from .cell_set import CellSet
from .config import PHYDNN
from .labels import backbone_label, by_depth, phydnn_label
from .training_record import TrainingRecord

__all__ = ["images_note", "training_note"]

_LEAST_SHARE = 0.1  # of the preset's epochs, below which nobody should read an accuracy


def images_note(cells: CellSet) -> str:
    """Return how many images and which seeds accuracies are of: fewer say less."""
    counts = {round(cell.figures["num_images"]) for cell in cells if "num_images" in cell.figures}
    images = " or ".join(f"{count:,}" for count in sorted(counts))
    seeds: dict[str, set[int]] = {}
    for cell in cells:
        seeds.setdefault(cell.key.variant or cell.key.system, set()).add(cell.key.seed)
    said = "; ".join(
        f"{name} {', '.join(map(str, sorted(found)))}" for name, found in seeds.items()
    )
    return f"Test images of a cell: {images or 'not told'}. Seeds: {said}."


def training_note(cells: CellSet) -> str:
    """Return a list of the systems among these cells, each with the epochs of its runs."""
    lines = []
    accuracies = cells.where(kind=CellKind.ACCURACY)
    groups = dict.fromkeys(
        (cell.key.system, cell.key.variant, cell.key.backbone) for cell in accuracies
    )
    for system, variant, backbone in sorted(groups, key=lambda found: by_depth(found[2])):
        group = accuracies.where(system=system, variant=variant, backbone=backbone)
        label = phydnn_label(variant) if system == PHYDNN else system
        for text, seeds in _seeds_by_text(group).items():
            lines.append(f"* {label}, {backbone_label(backbone)}, {seeds}: {text}")
    return "\n".join(
        [
            "How long the runs trained, in epochs of those that the preset plans (fewer than a "
            "tenth: no result):",
            "",
            *lines,
        ]
    )


def _seeds_by_text(cells: CellSet) -> dict[str, str]:
    """Return the seeds of each text on a training, as "seeds 0, 1"."""
    found: dict[str, set[int]] = {}
    for cell in cells:
        table = cell.provenance.get("training")
        text = "epochs not recorded" if table is None else _text(TrainingRecord.from_dict(table))
        found.setdefault(text, set()).add(cell.key.seed)
    return {
        text: f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, sorted(seeds)))}"
        for text, seeds in found.items()
    }


def _text(record: TrainingRecord) -> str:
    done, planned = sum(s[1] for s in record.stages), sum(s[2] for s in record.stages)
    if record.weights_given:
        return f"its weights were given, and trained {_epochs(done)} more"
    text = f"{done} of {_epochs(planned)}"
    if len(record.stages) > 1:
        each = (f"{name} {own} of {plan}" for name, own, plan in record.stages)
        text += f" ({', '.join(each)})"
    words = [_departure(name, *values) for name, values in record.departures.items()]
    text += f"; other than the preset: {', '.join(words)}" if words else ""
    return f"{text}; **no result**" if done < _LEAST_SHARE * planned else text


def _epochs(count: int) -> str:
    return f"{count} epoch{'' if count == 1 else 's'}"


def _departure(name: str, own: object, preset: object) -> str:
    if name == "slices_per_image":  # which says 0 where it means all
        slices = [f"{count} slices" if count else "all slices" for count in (own, preset)]
        return f"k-means over {slices[0]} of an image, not {slices[1]}"
    return f"`{name}` {own}, not {preset}"
