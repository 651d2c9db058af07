"""What a dashboard is made of, in a few words; `grafana` turns it into the JSON that Grafana reads.

A panel is a title, what it means, a unit of Grafana and queries. In queries `$where` stands for the selector of this
installation (`namespace=~…,instance=~…`), so that none forgets it; of more labels it is followed by a comma.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

WHERE = 'namespace=~"$namespace",instance=~"$instance"'
TAG = "omniroute"
WIDTH = 24
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_GREEN, _YELLOW, _RED = "green", "yellow", "red"

Kind = Literal["timeseries", "stat", "bargauge", "table"]


@dataclass(frozen=True, slots=True)
class Query:
    """`legend` is Grafana's pattern, such as `{{provider}}`."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """`warn` and `bad` are thresholds; with `bad` below `warn` low figures are the bad ones. `stacks`: areas upon each other."""

    title: str
    about: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 7
    warn: float | None = None
    bad: float | None = None
    stacks: bool = False
    decimals: int | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """Values of a label of a metric, several at a time, all at first."""

    name: str
    label: str
    query: str


@dataclass(frozen=True, slots=True)
class Board:
    """`uid` is the file's name and the address in Grafana, `page` the page of the product's own dashboard that goes further."""

    uid: str
    title: str
    about: str
    page: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    variables: tuple[Variable, ...] = ()
    refresh: str = field(default="30s")


NAMESPACE = Variable("namespace", "Namespace", "label_values(omniroute_up, namespace)")
INSTANCE = Variable("instance", "Instance", 'label_values(omniroute_up{namespace=~"$namespace"}, instance)')


def line(title: str, about: str, unit: str, *queries: tuple[str, str], **more: Any) -> Panel:
    """A course over time."""
    return Panel(title, about, unit, tuple(Query(*one) for one in queries), **more)


def stat(title: str, about: str, unit: str, expr: str, **more: Any) -> Panel:
    """One figure."""
    return Panel(title, about, unit, (Query(expr),), "stat", **{"width": 4, "height": 4, **more})


def percentiles(title: str, about: str, metric: str, selector: str = "", by: str = "", **more: Any) -> Panel:
    """p50, p95 and p99 of a histogram of seconds; `by` is a label to tell apart."""
    inner = f"$where,{selector}" if selector else "$where"
    group = f"{by}, le" if by else "le"
    name = f" {{{{{by}}}}}" if by else ""
    queries = tuple(
        Query(
            f"histogram_quantile({share}, sum by ({group}) (rate({metric}_bucket{{{inner}}}[$__rate_interval])))",
            f"{word}{name}",
        )
        for share, word in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    )
    return Panel(title, about, "s", queries, **more)


def grafana(board: Board) -> str:
    """The dashboard as JSON; the same board, the same text."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in board.rows:
        if title:
            panels.append(_row(title, top, len(panels) + 1))
            top += 1
        left = height = 0
        for panel in row:
            if left + panel.width > WIDTH:
                left, top, height = 0, top + height, 0
            panels.append(_panel(panel, left, top, len(panels) + 1))
            left, height = left + panel.width, max(height, panel.height)
        top += height
    model = {
        "uid": board.uid,
        "title": board.title,
        "description": board.about,
        "tags": [TAG],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": board.refresh,
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "",
        "annotations": {"list": [_restarts()]},
        "links": [_other_boards(), _own_dashboard(board.page)],
        "templating": {"list": [_data_source(), *map(_variable, (NAMESPACE, INSTANCE, *board.variables)), _address()]},
        "panels": panels,
    }
    return json.dumps(model, indent=1) + "\n"


def _row(title: str, top: int, number: int) -> dict[str, Any]:
    where = {"x": 0, "y": top, "w": WIDTH, "h": 1}
    return {"type": "row", "id": number, "title": title, "collapsed": False, "gridPos": where, "panels": []}


def _panel(panel: Panel, left: int, top: int, number: int) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": _thresholds(panel), "min": 0}
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    if panel.most is not None:
        defaults["max"] = panel.most
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 20 if panel.stacks else 5,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stacks else "none", "group": "A"},
        }
    elif panel.warn is not None or panel.bad is not None:
        defaults["color"] = {"mode": "thresholds"}
    return {
        "type": panel.kind,
        "id": number,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": {"x": left, "y": top, "w": panel.width, "h": panel.height},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel.kind),
        "targets": [_target(query, panel.kind, index) for index, query in enumerate(panel.queries)],
    }


def _target(query: Query, kind: Kind, index: int) -> dict[str, Any]:
    target = {
        "refId": chr(ord("A") + index),
        "datasource": _SOURCE,
        "expr": query.expr.replace("$where", WHERE),
        "legendFormat": query.legend or "__auto",
    }
    if kind != "timeseries":
        target |= {"instant": True, "range": False}
    return target


def _thresholds(panel: Panel) -> dict[str, Any]:
    is_low_bad = panel.bad is not None and panel.warn is not None and panel.bad < panel.warn
    steps: list[dict[str, Any]] = [{"color": _RED if is_low_bad else _GREEN, "value": None}]
    if is_low_bad:
        steps += [{"color": _YELLOW, "value": panel.bad}, {"color": _GREEN, "value": panel.warn}]
    else:
        steps += [{"color": _YELLOW, "value": panel.warn}] if panel.warn is not None else []
        steps += [{"color": _RED, "value": panel.bad}] if panel.bad is not None else []
    return {"mode": "absolute", "steps": steps}


def _options(kind: Kind) -> dict[str, Any]:
    if kind == "timeseries":
        legend = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"], "showLegend": True}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    reduced = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    if kind == "stat":
        return {**reduced, "colorMode": "value", "graphMode": "none", "textMode": "value", "justifyMode": "auto"}
    return {**reduced, "displayMode": "basic", "orientation": "horizontal", "showUnfilled": True}


def _data_source() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0}


def _address() -> dict[str, Any]:
    """Where the product's own dashboard is; to be set once in each installation."""
    value = "http://127.0.0.1:20128"
    return {
        "name": "omniroute_url",
        "label": "Address of OmniRoute",
        "type": "textbox",
        "query": value,
        "current": {"text": value, "value": value},
        "hide": 0,
    }


def _variable(variable: Variable) -> dict[str, Any]:
    return {
        "name": variable.name,
        "label": variable.label,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": variable.query, "refId": "A"},
        "definition": variable.query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
    }


def _restarts() -> dict[str, Any]:
    """A mark where processes were started again."""
    return {
        "name": "Restarts",
        "datasource": _SOURCE,
        "enable": True,
        "iconColor": "orange",
        "expr": f"sum by (instance) (changes(omniroute_process_restarts_total{{{WHERE}}}[1m])) > 0",
        "titleFormat": "restarted: {{instance}}",
        "step": "60s",
    }


def _other_boards() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "OmniRoute",
        "tags": [TAG],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "The other dashboards of OmniRoute",
        "url": "",
    }


def _own_dashboard(page: str) -> dict[str, Any]:
    return {
        "type": "link",
        "title": "Dashboard of OmniRoute",
        "url": f"$omniroute_url/dashboard/{page}",
        "tags": [],
        "asDropdown": False,
        "includeVars": False,
        "keepTime": False,
        "targetBlank": True,
        "icon": "dashboard",
        "tooltip": "Where something can be done about it",
    }
