"""A routing decision as the API shows it: of a request that was served, and of one that was only tried out."""

from typing import Any

from gateway.domain.decision import Decision


def decision_view(decision: Decision) -> dict[str, Any]:
    return {
        "strategy": decision.strategy,
        "accountStrategy": decision.account_strategy,
        "hasAffinity": decision.has_affinity,
        "candidates": [
            {"name": one.name, "connectionId": one.connection_id, "combo": one.combo, "rests": one.rests}
            for one in decision.candidates
        ],
        "dropped": [{"name": one.name, "reason": one.reason} for one in decision.dropped],
        "scores": decision.scores,
    }
