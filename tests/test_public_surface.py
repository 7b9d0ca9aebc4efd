"""What a package exports is a sorted list, and all of it is documented."""

import importlib
import inspect
import pkgutil

import pytest

import phyemu

PACKAGES = [
    name for _, name, is_package in pkgutil.walk_packages(phyemu.__path__, "phyemu.") if is_package
]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_exported_name_exists_is_documented_and_listed_in_order(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    assert list(module.__all__) == sorted(module.__all__)
    for exported in module.__all__:
        member = getattr(module, exported)
        if inspect.isclass(member) or inspect.isfunction(member):
            assert inspect.getdoc(member), f"{name}.{exported} has no docstring"
