"""Writes the dashboards where the chart and compose take them from."""

from pathlib import Path

from deploy.dashboards.board import grafana
from deploy.dashboards.boards import BOARDS

FOLDER = Path(__file__).parents[1] / "helm/omniroute/files/dashboards"

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for board in BOARDS:
        (FOLDER / f"{board.uid}.json").write_text(grafana(board))
