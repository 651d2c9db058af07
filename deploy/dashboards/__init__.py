"""Grafana's dashboards as code: `python -m deploy.dashboards` writes the JSON that the chart and compose provision."""
