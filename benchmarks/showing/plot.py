"""What a benchmark's JSON says, as a picture; matplotlib is imported only when one is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_COLORS: Final = ("#4878a8", "#d08040", "#609060", "#a05070", "#707070")
_SIZE: Final = (6.0, 3.8)
#: Text stays text, and nothing in the file changes unless the figures do.
_STYLE: Final = {
    "svg.fonttype": "none",
    "svg.hashsalt": "roost",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "savefig.facecolor": "white",
}


def draw(name: str, report: Mapping[str, Any], path: Path) -> None:
    """Write the picture of a benchmark, one of ``PLOTS``, to a .png or .svg.

    :raises ImportError: matplotlib is not installed.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    with mpl.rc_context(_STYLE):
        figure = PLOTS[name](report, pyplot)
        figure.tight_layout()
        is_svg = path.suffix == ".svg"
        figure.savefig(path, metadata={"Date": None, "Creator": None} if is_svg else None)
        pyplot.close(figure)


def _panels(
    pyplot: Any, count: int, size: tuple[float, float] = _SIZE, **more: Any
) -> tuple[Any, Any]:
    width, height = size
    figure, panels = pyplot.subplots(
        1, count, figsize=(width * count, height), squeeze=False, **more
    )
    return figure, panels[0]


def _lines(
    panel: Any, places: Sequence[float], lines: Mapping[str, Sequence[Any]], **labels: str
) -> None:
    for color, (name, values) in zip(_COLORS, lines.items(), strict=False):
        # What was not measured is a gap.
        known = [float("nan") if one is None else one for one in values]
        panel.plot(places, known, marker="o", markersize=4, color=color, label=name)
    panel.set(**labels)
    if panel.get_yscale() == "linear":
        panel.set_ylim(bottom=0)
    panel.legend(fontsize=8)


def _steps(report: Mapping[str, Any], pyplot: Any) -> Any:
    """Draw steps a second, a panel for each size; the whiskers are the extremes."""
    rows = report["rows"]
    sizes = sorted({row["size"] for row in rows if row["size"] is not None})
    figure, panels = _panels(pyplot, len(sizes), (5.5, 4.2))
    for panel, size in zip(panels, sizes, strict=True):
        shown = [row for row in rows if row["size"] in (size, None)][::-1]
        rates = [row["rate"] for row in shown]
        whiskers = [
            [max(0, row["rate"] - min(row["rates"])) for row in shown],
            [max(0, max(row["rates"]) - row["rate"]) for row in shown],
        ]
        panel.barh([row["title"] for row in shown], rates, xerr=whiskers, color=_COLORS[0])
        panel.set(title=f"state of {size / 1000:g} KB", xlabel="steps a second")
        panel.grid(visible=True, axis="x")
        panel.grid(visible=False, axis="y")
    return figure


def _scale(report: Mapping[str, Any], pyplot: Any) -> Any:
    """Draw what should stay flat as more and more work items sleep."""
    found = report["sleepers"]
    counts = [int(count) for count in found]
    figure, panels = _panels(pyplot, 3, (4.2, 3.6))
    groups = (
        ("scripts on the server", "µs a call", "server µs"),
        ("wake-ups", "ms late", "ms late"),
        ("memory for each work item", "bytes", "bytes of memory"),
    )
    for panel, (title, ylabel, word) in zip(panels, groups, strict=True):
        names = [name for name in next(iter(found.values())) if word in name]
        lines = {
            name.partition(",")[0].replace("_", ", "): [one[name] for one in found.values()]
            for name in names
        }
        panel.set_xscale("log")
        _lines(panel, counts, lines, title=title, xlabel="sleeping work items", ylabel=ylabel)
    return figure


def _workers(report: Mapping[str, Any], pyplot: Any) -> Any:
    """Draw steps a second and how busy the server is, over the number of workers."""
    rows = report["workers"]
    modes = list(dict.fromkeys(row["mode"] for row in rows))
    figure, (rates, shares) = _panels(pyplot, 2, (4.8, 3.6))
    counts = sorted({row["workers"] for row in rows})

    def over(mode: str, field: str, scale: float = 1) -> list[float]:
        return [row[field] * scale for row in rows if row["mode"] == mode]

    xlabel = f"worker processes ({report['cores']} cores)"
    lines = {mode: over(mode, "rate") for mode in modes}
    _lines(rates, counts, lines, title="steps a second", xlabel=xlabel)
    lines = {f"server, {mode}": over(mode, "server_share", 100) for mode in modes}
    _lines(shares, counts, lines, title="the server's share of one core, %", xlabel=xlabel)
    for panel in (rates, shares):
        panel.set_xticks(counts)
    return figure


def _cluster(report: Mapping[str, Any], pyplot: Any) -> Any:
    """Draw steps a second over queues, and what the cores would allow."""
    rows = report["cluster"]
    figure, (panel,) = _panels(pyplot, 1)
    counts = [row["queues"] for row in rows]
    lines = {
        "measured": [row["rate"] for row in rows],
        f"ceiling by {report['cores']} cores": [row["cores_ceiling"] for row in rows],
    }
    xlabel = f"queues, each with a worker, on {report['nodes']} nodes"
    _lines(panel, counts, lines, title="steps a second", xlabel=xlabel)
    panel.set_xticks(counts)
    return figure


def _storm(report: Mapping[str, Any], pyplot: Any) -> Any:
    """Draw how late bystanders' work begins, calm and in the storm; a panel for each kind."""
    kinds = report["storm"]
    figure, panels = _panels(pyplot, len(kinds), (3.8, 3.6), sharey=True)
    words = ("late_p50_ms", "late_p99_ms", "late_worst_ms")
    for panel, (title, found) in zip(panels, kinds.items(), strict=True):
        for index, phase in enumerate(("calm", "storm")):
            places = [number + 0.38 * index for number in range(len(words))]
            values = [found[phase][word] or float("nan") for word in words]
            panel.bar(places, values, 0.36, color=_COLORS[index], label=phase)
        panel.set_xticks([number + 0.19 for number in range(len(words))])
        panel.set_xticklabels([word.removeprefix("late_").removesuffix("_ms") for word in words])
        panel.set(title=title, yscale="log")
        panel.yaxis.set_major_formatter("{x:g}")
    panels[0].set_ylabel("ms late")
    # Room for the legend above the highest bar.
    panels[0].set_ylim(bottom=1, top=5 * panels[0].get_ylim()[1])
    panels[0].legend(fontsize=8, ncols=2)
    return figure


def _state(report: Mapping[str, Any], pyplot: Any) -> Any:
    """Draw microseconds and bytes of a step over the size of the state, with all lanes busy."""
    costs = report["state"]["costs"]
    lanes = max(row["lanes"] for row in costs)
    rows = [row for row in costs if row["lanes"] == lanes]
    sizes = sorted({row["size"] for row in rows})
    figure, panels = _panels(pyplot, 2, (4.8, 3.6))
    fields = (
        ("CPU of a step", "µs", {"client_us": "client", "server_us": "server"}),
        ("bytes of a step", "bytes", {"aof_bytes": "append-only file"}),
    )
    for panel, (title, ylabel, names) in zip(panels, fields, strict=True):
        lines = {
            f"{name}, {kind}": [row[field] for row in rows if row["kind"] == kind]
            for field, name in names.items()
            for kind in dict.fromkeys(row["kind"] for row in rows)
        }
        panel.set(xscale="log", yscale="log")
        _lines(panel, sizes, lines, title=title, ylabel=ylabel, xlabel="bytes of text in the state")
    return figure


def _profile(report: Mapping[str, Any], pyplot: Any) -> Any:
    """Draw what a step's time is made of: a bar for each side and way, a color for each part."""
    rows = report["profile"]
    bars = list(dict.fromkeys((row["mode"], row["side"]) for row in rows))
    figure, (panel,) = _panels(pyplot, 1, (9.5, 4.4))
    colors = pyplot.get_cmap("tab20").colors
    parts = list(dict.fromkeys(row["part"] for row in rows))
    for place, bar in enumerate(bars[::-1]):
        left = 0.0
        for row in rows:
            if (row["mode"], row["side"]) == bar:
                color = colors[parts.index(row["part"]) % len(colors)]
                panel.barh(place, row["us"], left=left, color=color, height=0.6)
                left += row["us"]
    for index, part in enumerate(parts):
        panel.barh(0, 0, color=colors[index % len(colors)], label=part)
    panel.set_yticks(range(len(bars)))
    panel.set_yticklabels([f"{mode}: {side}" for mode, side in bars[::-1]])
    panel.set(xlabel="µs of a step")
    panel.grid(visible=True, axis="x")
    panel.grid(visible=False, axis="y")
    panel.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def _console(report: Mapping[str, Any], pyplot: Any) -> Any:
    """Draw how long each page takes beside few and many work items."""
    rows = report["pages"][::-1]
    sizes = [name for name in rows[0] if name.endswith(", ms")]
    figure, (panel,) = _panels(pyplot, 1, (8.5, 5.2))
    for index, size in enumerate(sizes):
        places = [number - 0.4 * index for number in range(len(rows))]
        label = f"{size.removesuffix(', ms')} work items"
        panel.barh(places, [row[size] for row in rows], 0.38, color=_COLORS[index], label=label)
    panel.set_yticks([number - 0.2 for number in range(len(rows))])
    panel.set_yticklabels([row["page"] for row in rows])
    panel.set(xlabel="ms for a page")
    panel.grid(visible=True, axis="x")
    panel.grid(visible=False, axis="y")
    panel.legend(fontsize=8)
    return figure


def _growing(report: Mapping[str, Any], pyplot: Any) -> Any:
    """Draw what each way to keep a state sends and what CPU it takes, for each kind of state."""
    rows = report["growing"]["ways"]
    kinds = list(dict.fromkeys(row["kind"] for row in rows))[::-1]
    ways = list(dict.fromkeys(row["way"] for row in rows))
    figure, panels = _panels(pyplot, 2, (5.2, 4.6), sharey=True)
    fields = (
        ("sent_of_final", "bytes sent in all, by those of the final state"),
        ("cpu_of_wholes", "worker's CPU, by that of wholes"),
    )
    for panel, (field, xlabel) in zip(panels, fields, strict=True):
        for index, (way, color) in enumerate(zip(ways, _COLORS, strict=False)):
            found = {row["kind"]: row[field] for row in rows if row["way"] == way}
            places = [number - 0.16 * index for number in range(len(kinds))]
            widths = [found.get(kind, float("nan")) for kind in kinds]
            panel.barh(places, widths, 0.15, color=color, label=way)
        panel.set_yticks([number - 0.32 for number in range(len(kinds))])
        panel.set_yticklabels(kinds)
        panel.set(xlabel=xlabel)
        panel.grid(visible=True, axis="x")
        panel.grid(visible=False, axis="y")
    panels[0].set_xscale("log")
    panels[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8)
    return figure


#: The benchmarks that have a picture.
PLOTS: Final[Mapping[str, Callable[[Mapping[str, Any], Any], Any]]] = {
    "steps": _steps,
    "scale": _scale,
    "workers": _workers,
    "cluster": _cluster,
    "storm": _storm,
    "state": _state,
    "profile": _profile,
    "console": _console,
    "growing": _growing,
}
