"""The database's disk takes no more: changes are refused with the reason, requests go on, and their rows come when there is room.

The limit on file sizes stands for the full disk; only the admin process has it.
"""

import resource
from collections.abc import Iterator

import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import RealGateway, running_gateway

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("full")) as gateway:
        yield gateway


def test_changes_are_refused_with_the_reason_and_requests_go_on(gateway: RealGateway) -> None:
    admin = gateway.product.child("admin")
    before = gateway.new_id()
    gateway.chat(headers={"x-request-id": before})
    gateway.row(before)
    _, hard = resource.prlimit(admin, resource.RLIMIT_FSIZE)
    resource.prlimit(admin, resource.RLIMIT_FSIZE, (1024, hard))
    try:
        change = gateway.admin.post("/api/combos", json={"name": "no-room", "models": ["local/m1"]})
        assert change.status_code == 503, change.text
        assert "disk" in change.json()["error"]["message"]
        asked = [gateway.new_id() for _ in range(20)]
        assert {gateway.chat(headers={"x-request-id": one}).status_code for one in asked} == {200}
        assert gateway.admin.get("/api/combos").status_code == 200, "what is there can be read"
        wait_for(lambda: gateway.health()["jobs"]["ledger"]["error"], 10)
        assert gateway.health()["status"] == "degraded"
        assert gateway.rows(*asked) == []
    finally:
        resource.prlimit(admin, resource.RLIMIT_FSIZE, (hard, hard))
    for one in asked:
        assert gateway.row(one, within_s=30)["state"] == "final"
    assert gateway.product.child("admin") == admin, "it never ended"
    assert gateway.admin.post("/api/combos", json={"name": "room", "models": ["local/m1"]}).status_code == 201
