"""Splicing changes the members asked for and leaves every other byte as it came."""

import json
import resource
import time
from string import ascii_lowercase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.splice import append_member, drop_members, replace_member, replace_model

CALM = settings(deadline=None, database=None, max_examples=200)

SPACE = st.text(" \t\r\n", max_size=3)
TEXT = st.text(max_size=8) | st.sampled_from(["model", '"model"', '\\"model\\": "m', "{", "}],", "\\", "é\u2028"])
SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
)
MODEL_KEYS = st.sampled_from(['"model"', '"mod\\u0065l"', '"\\u006dodel"', '"\\u006D\\u006Fdel"'])
MODEL_NAMES = st.sampled_from(["m1", "local/m1", "ü/模型", 'quo"te', "back\\slash", "a\u0301", "model"])


@st.composite
def spaced(draw: st.DrawFn, value: object) -> str:
    """The JSON text of a value with odd spacing, and characters escaped or not as it falls."""
    if isinstance(value, dict):
        members = [
            draw(SPACE) + draw(spaced(key)) + draw(SPACE) + ":" + draw(SPACE) + draw(spaced(inner)) + draw(SPACE)
            for key, inner in value.items()
        ]
        return "{" + (",".join(members) or draw(SPACE)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(draw(SPACE) + draw(spaced(inner)) + draw(SPACE) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


@st.composite
def bodies(draw: st.DrawFn) -> tuple[list[str], str]:
    """(the text cut where a top-level `model` value stands, the name that counts): front, then (value, rest) in turn."""
    others = draw(st.dictionaries(TEXT.filter(lambda name: name != "model"), VALUE, max_size=4))
    members = [(draw(spaced(name)), draw(spaced(value))) for name, value in others.items()]
    names = draw(st.lists(MODEL_NAMES, min_size=1, max_size=2))
    for name in names:
        where = draw(st.integers(0, len(members)))
        members.insert(where, (draw(MODEL_KEYS), "\0" + draw(spaced(name))))
    text = draw(SPACE) + "{"
    last_name = ""
    for index, (key, value) in enumerate(members):
        text += ("," if index else "") + draw(SPACE) + key + draw(SPACE) + ":" + draw(SPACE)
        if value.startswith("\0"):
            last_name = json.loads(value[1:])
            text += "\0" + value[1:] + "\0"
        else:
            text += value
        text += draw(SPACE)
    return (text + "}" + draw(SPACE)).split("\0"), last_name


@CALM
@given(bodies(), MODEL_NAMES)
def test_only_the_models_name_changes(case: tuple[list[str], str], new: str) -> None:
    parts, old = case
    body = "".join(parts).encode()
    result = replace_model(body, old, new)
    assert json.loads(result) == {**json.loads(body), "model": new}
    if old == new:
        assert result == body
        return
    fixed = [part.encode() for part in parts[::2]]
    at = 0
    for part in fixed:  # every byte outside the values stands there, in order
        at = result.index(part, at) + len(part)
    encoded = len(json.dumps(new, ensure_ascii=False).encode())
    assert len(result) == sum(map(len, fixed)) + encoded * (len(fixed) - 1)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m1","messages":[]}',
        b'{ "messages" : [ ] ,\n "model"\t:  "m1" }\n',
        b'{"messages":[{"content":"\\"model\\":\\"m1\\""}],"model":"m1"}',
        b'{"model":"m1","tools":[{"parameters":{"model":"m1"}}]}',
        b'{"tools":[{"parameters":{"model":"m1"}}],"mod\\u0065l":"m1"}',
        b'{"x\\"model":"m1","mod\\u0065l":"m1"}',
        b'{"model":"m\\u0031"}',
        b'{"model":"first","model":"m1"}',
        b'{"mod\\u0065l":"first","model":"m1"}',
        b'{"model":"first","\\u006Dodel":"m1"}',
        b'{"a":"\\\\","model":"m1","b":"{[,\\""}',
    ],
)
def test_every_spelling_of_the_member_is_replaced(body: bytes) -> None:
    result = replace_model(body, "m1", "new")
    pairs = json.loads(result, object_pairs_hook=list)
    assert [value for name, value in pairs if name == "model"] == ["new"] * sum(name == "model" for name, _ in pairs)
    assert json.loads(result) == {**json.loads(body), "model": "new"}


def test_numbers_duplicates_and_spacing_stay_as_they_came() -> None:
    body = b'{"t": 1.0e-7 ,"t":12345678901234567890123, "model":"a", "s":"\\u00e9\\/" }'
    assert replace_model(body, "a", "b") == body.replace(b'"a"', b'"b"')


@CALM
@given(st.dictionaries(st.text(ascii_lowercase, min_size=1, max_size=4), VALUE, max_size=4), st.data())
def test_an_appended_member_leaves_the_prefix(value: dict[str, object], data: st.DataObject) -> None:
    body = data.draw(spaced(value)).encode()
    result = append_member(body, "ADDED", b"[1]")
    assert json.loads(result) == {**value, "ADDED": [1]}
    assert result.startswith(body[: body.rindex(b"}")])


@CALM
@given(st.dictionaries(st.text(ascii_lowercase, min_size=1, max_size=4), VALUE, min_size=1, max_size=4), st.data())
def test_a_replaced_member_leaves_the_others(value: dict[str, object], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(value)))
    result = replace_member(data.draw(spaced(value)).encode(), name, b'{"new":1}')
    assert json.loads(result, object_pairs_hook=list) == [
        (key, [("new", 1)] if key == name else json.loads(json.dumps(inner), object_pairs_hook=list))
        for key, inner in value.items()
    ]


def test_a_missing_member_is_added_at_the_end() -> None:
    assert replace_member(b'{"a":1}', "b", b"2") == b'{"a":1,"b":2}'
    assert append_member(b"{ }", "b", b"2") == b'{ "b":2}'


def test_dropped_members_are_gone_and_a_body_without_them_is_untouched() -> None:
    body = b'{"a": 1.50, "b":{"c":2}, "c":3}'
    assert drop_members(body, ("x", "y")) is body
    assert json.loads(drop_members(body, ("c", "a"))) == {"b": {"c": 2}}
    assert b"1.50" in drop_members(body, ("c",))


def test_a_long_text_costs_little_memory() -> None:
    """A picture in a message beside a tool with a parameter `model`: the slow way goes over the whole text."""
    picture = b"QUJD" * 1_250_000
    body = b'{"model":"a","tools":[{"model":"x"}],"messages":["' + picture + b"\\n" * 500_000 + b'"]}'
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert replace_model(body, "a", "b") == body.replace(b'"a"', b'"b"', 1)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 12 * len(body)


def test_many_duplicates_take_time_in_proportion() -> None:
    body = b"{" + b'"model":"a",' * 80_000 + b'"messages":[]}'
    started = time.process_time()
    assert replace_model(body, "a", "b").count(b'"b"') == 80_000
    assert time.process_time() - started < 20
