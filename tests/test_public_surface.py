"""What a package exports is a list of what is really there, and all of it is documented."""

import importlib
import inspect
import pkgutil

import pytest

import phyemu

PACKAGES = [
    name for _, name, is_package in pkgutil.walk_packages(phyemu.__path__, "phyemu.") if is_package
]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_exported_name_exists_once_and_is_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)  # ruff (RUF022) keeps the order
    for exported in module.__all__:
        member = getattr(module, exported)
        if inspect.isclass(member) or inspect.isfunction(member):
            assert inspect.getdoc(member), f"{name}.{exported} has no docstring"
