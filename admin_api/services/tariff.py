"""What requests cost, at the price that was valid when they were asked. The worker that served them uses the same function."""

from admin_api.services.plane import Plane
from admin_api.store.database import get_revision
from admin_api.store.nodes import nodes
from admin_api.store.prices import price_entry, prices
from gateway.accounting.cost import Rates, cost_of
from gateway.domain.record import RequestRecord
from gateway.domain.usage import Usage
from gateway.routing.prices import PriceBook


class Tariff:
    """All prices, those of the past too, at one revision of the configuration."""

    def __init__(self, revision: int, book: PriceBook) -> None:
        self.revision = revision
        self.book = book
        self._rates = Rates(book)

    def cost(self, record: RequestRecord) -> int | None:
        """Nano-dollars; None when something was used that has no price."""
        return self.cost_of(record.usage, record.provider, record.model, record.at)

    def cost_of(self, usage: Usage, provider: str, model: str, at: float) -> int | None:
        cost = cost_of(usage, self._rates.rate(provider, model, at))
        return cost.nano_usd if cost.is_known else None


async def load_tariff(plane: Plane) -> Tariff:
    """Read again only when the configuration has changed."""
    async with plane.database.read() as connection:
        revision = await get_revision(connection)
        if plane.tariff is not None and plane.tariff.revision == revision:
            return plane.tariff
        names = {spec.id: (spec.id, *spec.prefixes) for spec in plane.specs.values()}
        names |= {row.id: (row.id, row.prefix) for row in await nodes.load_all(connection)}
        own = [price_entry(row) for row in await prices.load_all(connection)]
    plane.tariff = Tariff(revision, PriceBook([*own, *plane.shipped_prices], names))
    return plane.tariff
