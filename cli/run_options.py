"""Options of the commands that train: where settings and images are, and the folder of the run."""

from pathlib import Path

import click

__all__ = ["config_option", "dataset_option", "resume_option", "run_folder_option"]

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Settings (TOML); options given here come before it.",
)
dataset_option = click.option(
    "--dataset", metavar="SPEC", help="digits, cifar10:PATH, cifar100:PATH or image-folder:PATH."
)
run_folder_option = click.option(
    "-o",
    "--output",
    "run",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="RUN",
    help="Run folder to make.",
)
resume_option = click.option("--resume", is_flag=True, help="Continue the run in RUN.")
