"""What a worker admits of keys with limits while shared state is away, and what it owes the shared windows for it.

Each worker admits the limit divided by the workers that were last seen (at least one). So while Redis is away a key
gets no more than its limit in all, or one for each worker where the limit is smaller; in the minute in which Redis
goes away, what was admitted before comes on top.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.domain.caller import Caller
from gateway.domain.errors import OverLimit

WINDOW_S = 60
MAX_KEYS = 10_000


@dataclass(slots=True)
class Slot:
    """One second of one key: what was admitted in it, and how much of that the shared window has not been told."""

    second: int
    requests: int = 0
    tokens: int = 0
    owed_requests: int = 0
    owed_tokens: int = 0


@dataclass(slots=True)
class _Window:
    slots: deque[Slot] = field(default_factory=deque)
    requests: int = 0
    tokens: int = 0

    def slide(self, now: int) -> None:
        while self.slots and self.slots[0].second < now - WINDOW_S:
            gone = self.slots.popleft()
            self.requests -= gone.requests
            self.tokens -= gone.tokens

    def back_in(self, now: int, requests: int, tokens: int) -> float:
        """Seconds until as much has left."""
        for slot in self.slots:
            requests -= slot.requests
            tokens -= slot.tokens
            if requests <= 0 and tokens <= 0:
                return float(slot.second + WINDOW_S + 1 - now)
        return 1.0


class LocalLimits:
    """Windows by key digest, at most MAX_KEYS of them. `clock` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: dict[str, _Window] = {}
        self.live_workers = 1
        self.owes = False
        """Whether a shared window has something to be told."""

    def __len__(self) -> int:
        return len(self._windows)

    def admit(self, caller: Caller, tokens: int, open_here: int, *, owes: bool) -> Slot:
        """Count a request here. Raises OverLimit. `owes`: the shared windows do not know of it.

        The slot is given so that its tokens can be set right.
        """
        now = int(self._clock())
        window = self._window(caller.counter)
        window.slide(now)
        if caller.concurrency and open_here >= self._share(caller.concurrency):
            raise OverLimit("concurrency", caller.concurrency, 1.0)
        if caller.rpm and (over := window.requests + 1 - self._share(caller.rpm)) > 0:
            raise OverLimit("rpm", caller.rpm, window.back_in(now, over, 0))
        if caller.tpm and window.tokens and (over := window.tokens + max(tokens, 1) - self._share(caller.tpm)) > 0:
            raise OverLimit("tpm", caller.tpm, window.back_in(now, 0, min(over, window.tokens)))
        if not window.slots or window.slots[-1].second < now:
            window.slots.append(Slot(now))
        slot = window.slots[-1]
        window.requests += 1
        slot.requests += 1
        window.tokens += tokens
        slot.tokens += tokens
        if owes:
            slot.owed_requests += bool(caller.rpm)
            slot.owed_tokens += tokens if caller.tpm else 0
            self.owes = True
        return slot

    def set_right(self, digest: str, slot: Slot, reserved: int, used: int, *, owes: bool) -> None:
        """What a request that was admitted here has used in truth. What was told already is not taken back."""
        window = self._windows.get(digest)
        change = max(used - reserved, -slot.tokens)
        slot.tokens += change
        if window is not None and window.slots and window.slots[0].second <= slot.second:
            window.tokens += change
        if owes and (slot.owed_tokens or change > 0):
            slot.owed_tokens = max(0, slot.owed_tokens + change)
            self.owes = self.owes or slot.owed_tokens > 0

    def take_owed(self) -> list[tuple[str, int, int, int]]:
        """(digest, age in s, requests, tokens) that the shared windows have to be told; then nothing is owed."""
        now = int(self._clock())
        owed: list[tuple[str, int, int, int]] = []
        for digest, window in tuple(self._windows.items()):
            window.slide(now)
            if not window.slots:
                del self._windows[digest]
            for slot in window.slots:
                if slot.owed_requests or slot.owed_tokens:
                    owed.append((digest, now - slot.second, slot.owed_requests, slot.owed_tokens))
                    slot.owed_requests = slot.owed_tokens = 0
        self.owes = False
        return owed

    def owe_again(self, digest: str, second: int, requests: int, tokens: int) -> None:
        """It did not arrive."""
        window = self._windows.get(digest)
        for slot in window.slots if window else ():
            if slot.second == second:
                slot.owed_requests += requests
                slot.owed_tokens += tokens
                self.owes = True

    def _share(self, limit: int) -> int:
        return max(1, limit // max(1, self.live_workers))

    def _window(self, digest: str) -> _Window:
        window = self._windows.get(digest)
        if window is None:
            if len(self._windows) >= MAX_KEYS:
                del self._windows[next(iter(self._windows))]
            window = self._windows[digest] = _Window()
        return window
