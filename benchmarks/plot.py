"""The table as bars, if matplotlib is installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.table import Figures


def draw(lines: Sequence[Figures], path: Path) -> None:
    """Write a picture of steps a second, a panel for each size; the whiskers are the extremes.

    :raises ImportError: matplotlib is not installed.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    sizes = sorted({line.size for line in lines if line.size is not None})
    figure: Any
    panels: Any
    figure, panels = pyplot.subplots(1, len(sizes), figsize=(6 * len(sizes), 4.5), squeeze=False)
    for panel, size in zip(panels[0], sizes, strict=True):
        shown = [line for line in lines if line.size in (size, None)][::-1]
        rates = [line.rate for line in shown]
        whiskers = [
            [line.rate - min(line.rates) for line in shown],
            [max(line.rates) - line.rate for line in shown],
        ]
        panel.barh([line.title for line in shown], rates, xerr=whiskers, color="#4878a8")
        panel.set_title(f"state of {size / 1000:g} KB")
        panel.set_xlabel("steps a second")
        panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
