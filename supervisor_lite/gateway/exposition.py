"""Prometheus's text format: https://prometheus.io/docs/instrumenting/exposition_formats/."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

TYPE = "text/plain; version=0.0.4; charset=utf-8"

Samples = Iterable[tuple[Mapping[str, str], float]]


def family(name: str, kind: str, text: str, samples: Samples) -> str:
    """Return a metric with all its samples: labels and value."""
    full = f"supervisor_lite_{name}"
    lines = [f"# HELP {full} {text}", f"# TYPE {full} {kind}"]
    for labels, value in samples:
        inside = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
        shown_value = repr(float(value)) if isinstance(value, float) else str(int(value))
        lines.append(f"{full}{{{inside}}} {shown_value}" if inside else f"{full} {shown_value}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
