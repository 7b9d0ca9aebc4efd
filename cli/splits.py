"""`phyemu splits`: where a network can be cut, and what each cut would cost."""

import re
from typing import TYPE_CHECKING, Any

import click

from .options import echo_json, json_option, keyword_options, model_keywords_option

if TYPE_CHECKING:
    from torch import nn

    from phyemu.dnn import SplitPoint


class _ImageShape(click.ParamType[tuple[int, int, int]]):
    """Channels, height and width: 3x32x32."""

    name = "CxHxW"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int]:
        """Return the three numbers."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})x([1-9]\d{0,3})", str(value))
        if match is None:
            self.fail(f"{value!r} is no image shape; write 3x32x32", param, ctx)
        return int(match[1]), int(match[2]), int(match[3])


@click.command("splits")
@click.argument("model", metavar="MODEL")
@click.option(
    "--image",
    "image_shape",
    type=_ImageShape(),
    default="3x32x32",
    show_default=True,
    help="Channels, height and width; the digits are 1x32x32.",
)
@click.option("--classes", type=click.IntRange(2), default=10, show_default=True)
@click.option("--width", type=click.IntRange(2), help="Of a CIFAR ResNet's first stage.")
@model_keywords_option
@click.option(
    "--order",
    "orders",
    type=click.IntRange(2),
    multiple=True,
    default=(16, 8, 4),
    show_default=True,
    help="M, of which bytes are told; repeat it.",
)
@click.option("--all", "show_all", is_flag=True, help="Also what cannot be cut, and why.")
@json_option
def command(
    model: str,
    image_shape: tuple[int, int, int],
    classes: int,
    width: int | None,
    keywords: tuple[str, ...],
    orders: tuple[int, ...],
    show_all: bool,
    as_json: bool,
) -> None:
    """List where MODEL can be cut: resnet20, timm:MODEL or package.module:factory.

    The latter two are imported, so name only code that you trust. Bytes are those of 64 images,
    without frames; shares are those of the device, of all parameters and multiply-accumulates.
    """
    from phyemu.dnn import split_points

    network = _network(model, image_shape[0], classes, width, keyword_options(keywords))
    points = [p for p in split_points(network, image_shape) if show_all or p.refusal is None]
    if as_json:
        echo_json({"model": model, "splits": [point.to_dict(orders) for point in points]})
        return
    if not points:
        click.echo(f"{model}: no cut is possible; --all says why")
        return
    for line in _lines(points, orders):
        click.echo(line)


def _network(
    name: str, in_channels: int, classes: int, width: int | None, options: dict[str, Any]
) -> "nn.Module":
    import torch

    from phyemu.dnn import ResNetConfig, UserModel, resnet
    from phyemu.training import backbone_depth

    if ":" not in name:
        if options:
            raise click.UsageError("--option goes with timm:MODEL and package.module:factory")
        config = ResNetConfig(
            depth=backbone_depth(name),
            num_classes=classes,
            in_channels=in_channels,
            width=16 if width is None else width,
        )
        return resnet(config, generator=torch.Generator().manual_seed(0))
    if width is not None:
        raise click.UsageError("--width is of a CIFAR ResNet; give --option to other networks")
    return UserModel(
        name=name, num_classes=classes, in_channels=in_channels, options=options
    ).build()


def _lines(points: "list[SplitPoint]", orders: tuple[int, ...]) -> list[str]:
    """Return a table for people."""
    titles = ("split", "features", "symbols", *(f"M={m}" for m in orders), "parameters", "MACs")
    rows = [(*titles, "")]
    for point in points:
        if point.feature_shape is None:
            rows.append((point.name, *("-" for _ in titles[1:]), f"no: {point.refusal}"))
            continue
        rows.append(
            (
                point.name,
                "x".join(map(str, point.feature_shape)),
                str(point.symbols_per_image),
                *(f"{point.payload_bytes(m):,.0f} B" for m in orders),
                f"{100 * (point.parameter_share or 0):.1f} %",
                f"{100 * (point.mac_share or 0):.1f} %",
                "",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(titles))]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:], strict=True)),
                row[-1],
            ]
        ).rstrip()
        for row in rows
    ]
