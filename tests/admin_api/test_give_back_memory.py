"""Memory that is free again does not stay with the process."""

import ctypes
from pathlib import Path

import pytest

from admin_api.jobs.give_back_memory import GiveBackMemoryJob


def private_kb():
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("RssAnon"))
    return int(line.split()[1])


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc gives memory back when asked")
async def test_what_is_free_below_something_in_use_goes_back():
    blocks = [bytes(4096) for _ in range(20_000)]
    above = bytes(4096)
    held = private_kb()
    blocks.clear()
    await GiveBackMemoryJob()()
    assert private_kb() < held - 60_000
    assert above
