"""Reads `specs/*.toml` into frozen structs. The one place in `providers/` that touches files."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway.providers.spec import ProviderSpec

_SPECS = Path(__file__).parent / "specs"


class BrokenSpec(ValueError):
    """A spec file that is not TOML, does not fit the schema, or clashes with another."""


def load_specs(folder: Path = _SPECS) -> Mapping[str, ProviderSpec]:
    """Load every spec, by id. The file's name is the id. Raises BrokenSpec naming the file and the field."""
    specs: dict[str, ProviderSpec] = {}
    owners: dict[str, str] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            spec = msgspec.convert(tomllib.loads(path.read_text()), ProviderSpec)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise BrokenSpec(f"{path.name}: {error}") from error
        if spec.id != path.stem:
            raise BrokenSpec(f"{path.name}: the id is {spec.id!r}; file name and id must agree")
        for prefix in (spec.id, *spec.prefixes):
            other = owners.setdefault(prefix, spec.id)
            if other != spec.id:
                raise BrokenSpec(f"{path.name}: prefix {prefix!r} belongs to {other!r} already")
        specs[spec.id] = spec
    return specs
