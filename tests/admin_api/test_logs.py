"""The log of the processes as an operator sees it: newest first, by level and text, not for viewers."""

import structlog

from admin_api.jobs.tell_log import TellLogJob
from gateway.state import keys as redis_keys
from gateway.telemetry.log_tail import LogTail
from gateway.telemetry.logs import configure_logging

PATH = "/api/logs/console"


async def told(plane, *events):
    plane.log_tail = LogTail()
    for event in events:
        plane.log_tail.note(None, "info", {"timestamp": "2027-01-15T08:00:00Z", "level": "info", **event})
    await TellLogJob(plane)()


async def test_lines_are_shown_newest_first_in_pages(plane, admin):
    await told(plane, *({"event": f"e{number}", "count": number} for number in range(5)))
    first = (await admin.get(PATH, params={"limit": 3})).json()
    rest = (await admin.get(PATH, params={"limit": 3, "cursor": first["nextCursor"]})).json()
    assert [line["event"] for line in first["lines"] + rest["lines"]] == ["e4", "e3", "e2", "e1", "e0"]
    assert rest["nextCursor"] is None
    line = first["lines"][0]
    assert (line["timestamp"], line["level"], line["process"], line["fields"]) == (
        1_800_000_000.0,
        "info",
        "admin",
        {"count": 4},
    )


async def test_they_are_filtered_by_level_and_text(plane, admin):
    await told(
        plane,
        {"event": "quiet"},
        {"event": "loud", "level": "error", "provider": "Local"},
        {"event": "loud", "level": "warning"},
    )

    async def found(**query):
        return [line["level"] for line in (await admin.get(PATH, params=query)).json()["lines"]]

    assert await found(level="warning") == ["warning", "error"]
    assert await found(search="local") == ["error"]
    assert await found(level="error", search="quiet") == []
    assert (await admin.get(PATH, params={"cursor": "x"})).status_code == 400
    assert (await admin.get(PATH, params={"level": "loud"})).status_code == 400


async def test_a_viewer_does_not_see_them(admin, client):
    answer = await admin.post("/api/admin-tokens", json={"name": "v", "role": "viewer"})
    headers = {"authorization": f"Bearer {answer.json()['token']}"}
    assert (await client.get(PATH, headers=headers)).status_code == 403


async def test_what_is_no_line_does_no_harm(plane, admin, redis):
    await redis.xadd(redis_keys.LOG_LINES, {"l": "no json"})
    await redis.xadd(redis_keys.LOG_LINES, {"p": "w"})
    shown = (await admin.get(PATH)).json()["lines"]
    assert [line["event"] for line in shown] == ["", ""]


def test_the_log_as_it_is_configured_has_no_word_of_a_secret():
    tail = LogTail()
    before = structlog.get_config()
    try:
        configure_logging("info", "json", tail)
        structlog.get_logger().info("seen", api_key="sk-or-very-secret-0001", text="Bearer abcdefgh12345")
    finally:
        structlog.configure(**before)
    (line,) = tail.take(10)
    assert b"very-secret" not in line
    assert b"abcdefgh" not in line
