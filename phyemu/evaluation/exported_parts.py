"""Where the parts of a PhyDNN lie in a run folder: head, tail, and the relays of a chain."""

from pathlib import Path

from phyemu.dnn import DeviceFormat
from phyemu.dnn.card import Part
from phyemu.errors import CheckpointError

__all__ = ["exported_orders", "is_chain", "part_path", "relay_name", "relay_numbers"]


def relay_name(number: int) -> str:
    """Return the folder of a relay; 1 is the one that hears the head."""
    return f"{Part.RELAY}{number}"


def relay_numbers(folder: Path, *, suffix: str = ".safetensors") -> list[int]:
    """Return which relays a folder holds, in their order; on a device it may be one of several."""
    names = [path.name.removeprefix(Part.RELAY) for path in folder.glob(f"{Part.RELAY}*")]
    numbers = sorted(int(name) for name in names if name.isdecimal())
    return [
        number for number in numbers if exported_orders(folder, relay_name(number), suffix=suffix)
    ]


def is_chain(folder: Path, *, relay: int = 1) -> bool:
    """Return whether a run folder holds that relay, as with several split points."""
    return bool(exported_orders(folder, relay_name(relay)))


def exported_orders(
    folder: Path, side: str = Part.HEAD, *, suffix: str = ".safetensors"
) -> list[int]:
    """Return M of each export of one part; none where there are none."""
    names = [path.name.removesuffix(suffix)[1:] for path in (folder / side).glob(f"m*{suffix}")]
    return [int(name) for name in names if name.isdecimal()]


def part_path(folder: Path, part: str, order: int | None, *, suffix: str = ".safetensors") -> Path:
    """Return the file of one part, of the smallest order where none is given.

    Args:
        folder: A run, or where `phyemu export` wrote to.
        part: `head`, `tail`, or of a chain `relay1`, `relay2`, ...
        order: M.
        suffix: Of the files.

    Raises:
        CheckpointError: There is none of that order, or none at all.
    """
    orders = exported_orders(folder, part, suffix=suffix)
    if not orders:
        remedy = _ways_to_a_part(folder, part, suffix)
        raise CheckpointError(f"{folder}: holds no exported {part} ({part}/m*{suffix}); {remedy}")
    if order is not None and order not in orders:
        raise CheckpointError(f"{folder}: holds no {part} of order {order}, but {sorted(orders)}")
    return folder / part / f"m{min(orders) if order is None else order}{suffix}"


def _ways_to_a_part(folder: Path, part: str, suffix: str) -> str:
    """Return what to do where there is no file of one part in the format asked for."""
    for device_format in DeviceFormat:
        if suffix == device_format.suffix:
            run = folder if exported_orders(folder, part) else f"RUN -o {folder}"
            return f"write it: phyemu export {run} --format {device_format}"
    for device_format in DeviceFormat:
        if exported_orders(folder, part, suffix=device_format.suffix):
            return f"there is one for devices: give --format {device_format}"
    if part in (Part.HEAD, Part.TAIL):
        return "name a run of phyemu train"
    numbers = relay_numbers(folder)
    if len(numbers) == 1:
        name = relay_name(numbers[0])
        return f"there is one relay: --relay {numbers[0]} (phyemu export: --part {name})"
    if numbers:
        return f"there are {', '.join(map(relay_name, numbers))}"
    if exported_orders(folder, Part.HEAD) and exported_orders(folder, Part.TAIL):
        return "its network is on two devices, without a relay; with several --split it has one"
    return "name a run of phyemu train with several --split"
