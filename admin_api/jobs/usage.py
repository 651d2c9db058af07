"""Roll-ups that grow old, keys that used most, and prices whose time has come."""

from admin_api.services.plane import Plane
from admin_api.store.prices import prices
from admin_api.store.usage_sums import fold_hours
from admin_api.store.usage_tops import LIVE_ROWS, RANGES, has_many_keys, keep_tops, sum_tops


class FoldHoursJob:
    """Makes hours that are over part of their days, of blocks of days, and of all time."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def __call__(self) -> None:
        async with self._plane.database.write() as connection:
            await fold_hours(connection, self._plane.now())


class TopKeysJob:
    """Sums the keys of a range where there are too many for a view to do it. It takes at most a hundredth of the time."""

    def __init__(self, plane: Plane, live_rows: int = LIVE_ROWS) -> None:
        self._plane = plane
        self._live_rows = live_rows
        self._due_at = 0.0

    async def __call__(self) -> None:
        began = now = self._plane.now()
        if now < self._due_at:
            return
        async with self._plane.database.read() as connection:
            if not await has_many_keys(connection, now, self._live_rows):
                return
        for days in RANGES:
            async with self._plane.database.read() as connection:
                top = await sum_tops(connection, now, days)
            async with self._plane.database.write() as connection:
                await keep_tops(connection, now, days, top)
        self._due_at = now + 100 * (self._plane.now() - began)


class TurnPricesJob:
    """Raises the revision when a price begins to count, so that routing by cost hears of it. Workers charge by it at once."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._looked_at = plane.now()

    async def __call__(self) -> None:
        now, before = self._plane.now(), self._looked_at
        async with self._plane.database.read() as connection:
            begins = [row.valid_from for row in await prices.load_all(connection)]
        begins += [price.valid_from for price in self._plane.shipped_prices]
        if any(before < at <= now for at in begins):
            async with self._plane.change():
                pass
            await self._plane.publisher.publish()
        self._looked_at = now
