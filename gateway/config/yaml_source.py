"""YAML text → a tree of places: plain values that remember their line, with `${...}` filled in.

Knows YAML and references, not what the fields mean (`file.py`). No message made here holds a value from the file,
since any value may be a secret; `Problems` also replaces filled-in values by their reference.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from yaml.constructor import SafeConstructor

MAX_PLACES = 200_000
"""Values in the file after its aliases are expanded."""

_MAX_PROBLEMS = 200
_MAX_REFERENCED_BYTES = 65_536
_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_QUOTED = re.compile(r"(['\"])[^'\" ,<][^'\"]{2,}\1")
_TAG = "tag:yaml.org,2002:"

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Place:
    """A value and the line it stands on (of its key, if it has one). `is_filled`: it holds a `${...}`."""

    value: "Scalar | list[Place] | dict[str, Place]"
    line: int
    is_filled: bool = False

    def __getitem__(self, name: str) -> "Place | None":
        return self.value.get(name) if isinstance(self.value, dict) else None

    def line_of(self, name: str) -> int:
        """Line of the field `name`, else of this place."""
        child = self[name]
        return child.line if child else self.line

    def plain(self) -> object:
        """The value without lines."""
        if isinstance(self.value, dict):
            return {name: child.plain() for name, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value


@dataclass(slots=True)
class Problems:
    """What is wrong with one file, in order of lines. Bounded; filled-in values never show."""

    found: list[tuple[int, str]] = field(default_factory=list)
    hidden: dict[str, str] = field(default_factory=dict)

    def add(self, line: int, path: str, text: str) -> None:
        self.found.append((line, f"{path}: {text}" if path else text))

    def hide(self, value: str, shown: str) -> None:
        """Show `shown` wherever a message would hold `value`. Short values are left: they are no secrets."""
        if len(value) >= 4:
            self.hidden[value] = shown

    def texts(self) -> tuple[str, ...]:
        return tuple(f"line {line}: {self._clean(text)}" for line, text in sorted(self.found)[:_MAX_PROBLEMS])

    def _clean(self, text: str) -> str:
        for value in sorted(self.hidden, key=len, reverse=True):
            text = text.replace(value, self.hidden[value])
        return text


def read_yaml(text: str, environment: Mapping[str, str], problems: Problems) -> Place | None:
    """Read one YAML document. What is wrong goes to `problems`; None when there is nothing to go on with."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            problems.add(1, "", "the file is empty; begin with `version: 1`")
            return None
        refusal = _refuse_size(root)
        if refusal:
            problems.add(*refusal)
            return None
        return _Reader(environment, problems).read(root, "")
    except yaml.reader.ReaderError as error:
        problems.add(text.count("\n", 0, error.position) + 1, "", "a character that YAML does not allow")
    except yaml.MarkedYAMLError as error:
        problems.add(_line(error.problem_mark or error.context_mark), "", f"not YAML: {_explain(error)}")
    except RecursionError:
        problems.add(1, "", "lists and mappings are nested too deeply")
    return None


def _line(mark: yaml.Mark | None) -> int:
    return mark.line + 1 if mark else 1


def _explain(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's words, without what they quote from the file."""
    problem = error.problem or "cannot be read"
    if "'\\t'" in problem:
        return "a tab stands where YAML wants spaces"
    return ", ".join(_QUOTED.sub("'…'", part) for part in (error.context, problem) if part)


def _refuse_size(root: yaml.Node) -> tuple[int, str, str] | None:
    """Count the values after expansion without expanding: aliases share nodes, so each is counted once."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size_of(node: yaml.Node) -> int:
        known = sizes.get(id(node))
        if known is not None:
            return known
        if id(node) in open_nodes:
            raise _Endless(node)
        open_nodes.add(id(node))
        sizes[id(node)] = total = 1 + sum(size_of(child) for child in _children(node))
        open_nodes.discard(id(node))
        return total

    try:
        total = size_of(root)
    except _Endless as endless:
        return _line(endless.node.start_mark), "", "an alias stands inside the value of its own anchor"
    if total > MAX_PLACES:
        return (
            _line(root.start_mark),
            "",
            f"the file holds more than {MAX_PLACES:,} values once its aliases are expanded",
        )
    return None


class _Endless(Exception):
    def __init__(self, node: yaml.Node) -> None:
        self.node = node


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    for child in node.value if isinstance(node, yaml.CollectionNode) else ():
        if isinstance(child, tuple):
            yield from child
        else:
            yield child


def _as_text(node: yaml.ScalarNode) -> str:
    return str(node.value)


_SCALARS: Mapping[str, Callable[[yaml.ScalarNode], Scalar]] = {
    "str": _as_text,
    "value": _as_text,
    "timestamp": _as_text,  # dates stay as written: only the field knows whether it wants one
    "int": SafeConstructor().construct_yaml_int,
    "float": SafeConstructor().construct_yaml_float,
    "bool": SafeConstructor().construct_yaml_bool,
    "null": SafeConstructor().construct_yaml_null,
}


class _Reader:
    """Nodes → places. Stateless but for the file contents it has read for `${file:...}`."""

    def __init__(self, environment: Mapping[str, str], problems: Problems) -> None:
        self._environment = environment
        self._problems = problems

    def read(self, node: yaml.Node, path: str, line: int = 0) -> Place:
        line = line or _line(node.start_mark)
        tag = node.tag.removeprefix(_TAG)
        if isinstance(node, yaml.MappingNode) and tag == "map":
            return Place(self._mapping(node, path), line)
        if isinstance(node, yaml.SequenceNode) and tag == "seq":
            return Place([self.read(child, f"{path}[{i}]") for i, child in enumerate(node.value)], line)
        if isinstance(node, yaml.ScalarNode) and tag in _SCALARS:
            return self._scalar(node, tag, path, line)
        self._problems.add(line, path, "a YAML tag that has no meaning here")
        return Place(None, line)

    def _scalar(self, node: yaml.ScalarNode, tag: str, path: str, line: int) -> Place:
        try:
            value = _SCALARS[tag](node)
        except (ValueError, KeyError, IndexError):
            self._problems.add(line, path, f"not a value that YAML can read as `{tag}`")
            return Place(None, line)
        if isinstance(value, str) and "${" in value:
            return Place(self._fill(value, path, line), line, is_filled=True)
        return Place(value, line)

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Place]:
        merged: dict[str, Place] = {}
        own: dict[str, Place] = {}
        for key, value in node.value:
            line = _line(key.start_mark)
            if key.tag == _TAG + "merge":
                merged = {**self._merge(value, path, line), **merged}
            elif not isinstance(key, yaml.ScalarNode) or key.tag not in (_TAG + "str", _TAG + "value"):
                self._problems.add(line, path, "a field name must be text; put it in quotes")
            elif key.value in own:
                self._problems.add(
                    line, path, f"the field {shown_name(key.value)} stands twice, first on line {own[key.value].line}"
                )
            else:
                own[key.value] = self.read(value, f"{path}.{shown_key(key.value)}".lstrip("."), line)
        return {**merged, **own}

    def _merge(self, node: yaml.Node, path: str, line: int) -> dict[str, Place]:
        """What `<<:` brings: a mapping or a list of them, the first winning."""
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        brought: dict[str, Place] = {}
        for part in parts:
            if isinstance(part, yaml.MappingNode):
                brought = {**self._mapping(part, path), **brought}
            else:
                self._problems.add(line, path, "`<<` takes a mapping, or a list of mappings")
        return brought

    def _fill(self, text: str, path: str, line: int) -> str:
        def replace(match: re.Match[str]) -> str:
            if match.group() == "$${":
                return "${"
            if not match.group().endswith("}"):
                self._problems.add(line, path, "`${` without its `}`; write `$${` for a literal one")
                return ""
            try:
                value = _look_up(match.group(1), self._environment)
            except LookupError as error:
                self._problems.add(line, path, str(error.args[0]))
                return ""
            self._problems.hide(value, match.group())
            return value

        return _REFERENCE.sub(replace, text)


def _look_up(name: str, environment: Mapping[str, str]) -> str:
    """The value of `${name}`. Raises LookupError with a text for the user."""
    if name.startswith("file:"):
        return _read_referenced(Path(name.removeprefix("file:")))
    if not _VARIABLE.match(name):
        raise LookupError("`${...}` takes the name of a variable or `file:` and a path; write `$${` for a literal `${`")
    if name not in environment:
        raise LookupError(f"the environment variable `{name}` is not set")
    return environment[name]


def _read_referenced(path: Path) -> str:
    """Contents of a secret file, without the newline that editors and `echo` put at its end."""
    try:
        if not path.is_file():
            raise LookupError(f"no file at `{path}`")
        with path.open("rb") as file:
            data = file.read(_MAX_REFERENCED_BYTES + 1)
        if len(data) > _MAX_REFERENCED_BYTES:
            raise LookupError(f"the file `{path}` is larger than {_MAX_REFERENCED_BYTES:,} bytes")
        return data.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise LookupError(f"the file `{path}` is not UTF-8 text") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise LookupError(f"the file `{path}` cannot be read: {reason}") from error


def shown_key(name: str) -> str:
    """A field name as a message may show it: `api_key:sk-…` without a space is a name to YAML, and a secret to us."""
    head = re.match(r"[A-Za-z_][A-Za-z0-9_]{0,31}(?![A-Za-z0-9_])", name)
    if head and head.group() == name:
        return name
    return f"{head.group()}…" if head and name[head.end()] == ":" else "…"


def shown_name(name: str) -> str:
    """`shown_key` in backticks, with the cause when a space is missing after the colon."""
    shown = shown_key(name)
    return f"`{shown}` (put a space after the colon)" if shown.endswith("…") and ":" in name else f"`{shown}`"
