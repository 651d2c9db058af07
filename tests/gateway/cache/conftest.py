"""Workers' flights on a real Valkey."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.cache.flights import Flights
from gateway.state.flight_log import FlightLog
from gateway.state.resp import RespClient
from gateway.telemetry.metrics import Metrics
from tests.gateway.state.conftest import until

MakeFlights = Callable[..., Awaitable[Flights]]


@pytest.fixture
async def flights_of() -> AsyncIterator[MakeFlights]:
    """Make the flights of a worker; all end with the test."""
    made: list[tuple[Flights, RespClient, asyncio.Task[None]]] = []

    async def make(url: str, worker: str, *, lease_s: float = 30.0, max_answer_bytes: int = 1000) -> Flights:
        client = RespClient(url, budget_s=5.0)
        client.start()
        log = FlightLog(client, worker, lease_s=lease_s)
        flights = Flights(log, url, Metrics(), max_answer_bytes=max_answer_bytes, board_budget_s=5.0)
        made.append((flights, client, asyncio.create_task(flights.run())))
        await until(lambda: client.is_up and flights.is_listening)
        return flights

    yield make
    for flights, client, task in made:
        task.cancel()
        await flights.close()
        await client.close()
    await asyncio.sleep(0)
