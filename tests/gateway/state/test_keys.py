"""Names of Redis keys are distinct, carry the schema, and tag what changes together."""

import re

from gateway.state import keys


def names() -> list[str]:
    return [
        keys.SNAPSHOT_CURRENT, keys.NEWS, keys.KEYRING_EPOCH, keys.RECORDS, keys.INFLIGHT_PREFIX, keys.WORKER_PREFIX, keys.WORKERS,
        keys.snapshot(1), keys.snapshot(11), keys.key("d1"), keys.key("d2"), keys.inflight("w1"), keys.inflight("w2"),
        keys.worker("w1"), keys.worker("w2"), keys.lease("ledger"), keys.lease("rollup"), keys.cursor("a"), keys.cursor("b"),
        keys.RESTS, keys.RESTS_ENDS, keys.RESTS_META, keys.rest_failures("c"), keys.rest_unreachable("c"),
        keys.flight("f"), keys.flight_parts("f", "t"), keys.flight_news("w1"), keys.flight_news("w2"),
    ]  # fmt: skip


def test_no_two_names_are_the_same() -> None:
    assert len(set(names())) == len(names())


def test_each_name_carries_the_schema() -> None:
    assert all(name.startswith(f"{keys.SCHEMA}:") for name in names())


def test_the_current_revision_is_no_revisions_name() -> None:
    assert keys.snapshot(1) != keys.SNAPSHOT_CURRENT
    assert not any(keys.snapshot(revision) == keys.SNAPSHOT_CURRENT for revision in range(100))


def test_what_settle_changes_together_shares_a_hash_tag() -> None:
    def tag(name: str) -> str:
        return re.search(r"{(.*?)}", name)[1]  # type: ignore[index]  # a name without a tag fails the test

    assert tag(keys.RECORDS) == tag(keys.inflight("w")) == "ledger"
    assert tag(keys.key("digest")) == "k:digest"


def test_a_flight_and_its_parts_share_a_hash_tag() -> None:
    assert re.findall(r"{(.*?)}", keys.flight("f") + keys.flight_parts("f", "t")) == ["f:f", "f:f"]
