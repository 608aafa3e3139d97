"""A picture of a dashboard from what its queries returned, on the grid that Grafana would use."""

import re
import textwrap

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, MaxNLocator

INK, FAINT, PAPER, CARD = "#1f2933", "#6b7785", "#eef1f4", "#ffffff"
COLOURS = ["#2f7ed8", "#2a9d58", "#e08a1e", "#8b5fbf", "#c43d3d", "#0f9aa8"]
NAMED = {
    "blue": "#2f7ed8", "green": "#2a9d58", "2xx": "#2a9d58", "3xx": "#2f7ed8", "4xx": "#e08a1e", "5xx": "#c43d3d",
    "1xx": "#9aa5b1", "other": "#8b5fbf", "red": "#c43d3d", "orange": "#c97a12", "reverted": "#c43d3d",
    "committed": "#2a9d58", "discarded": "#9aa5b1", "switch_failed": "#8b5fbf",
}  # fmt: skip
PER_ROW, PER_COLUMN = 0.3, 0.5


def shown(value, unit):
    """A value with its unit, short."""
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "percent":
        return f"{value:.0f} %"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if abs(value) < 1 else f"{value:.3g} s"
    if unit in ("bytes", "Bps"):
        for prefix in ("", "Ki", "Mi", "Gi"):
            if abs(value) < 1024 or prefix == "Gi":
                return f"{value:.3g} {prefix}B{'/s' if unit == 'Bps' else ''}"
            value /= 1024
    return f"{value:.3g}" + {"reqps": " req/s", "cps": "/s"}.get(unit, "")


def named(legend, labels):
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend)


def colour(name, number):
    return NAMED.get(name, COLOURS[number % len(COLOURS)])


def draw_graph(axes, panel, results, marks, start, end):
    defaults = panel["fieldConfig"]["defaults"]
    lines = [(named(target["legendFormat"], each["metric"]), each) for target, found in results for each in found]
    lines.sort(key=lambda line: line[0])
    for number, (name, each) in enumerate(lines):
        times, values = [], []
        for at, value in each["values"]:
            if times and at - times[-1] > 90:
                times.append(at - 1)
                values.append(float("nan"))
            times.append(at)
            values.append(float(value))
        tint = colour(name, number)
        axes.plot(times, values, color=tint, linewidth=1.3, label=name, marker="o" if len(times) == 1 else None, ms=3)
        axes.fill_between(times, values, color=tint, alpha=0.06, linewidth=0)
    for query, found in marks:
        for at in sorted({times[0][0] for times in (each["values"] for each in found)}):
            axes.axvline(at, color=NAMED[query["iconColor"]], linewidth=1, linestyle=(0, (4, 3)), alpha=0.8)
    axes.set_xlim(start, end)
    low, high = axes.get_ylim()
    axes.set_ylim(
        0, defaults["max"] * 1.05 if "max" in defaults else max(high, 1e-9) if high > 0.002 or low < high else 1
    )
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, defaults["unit"])))
    ago = range(0, int(end - start) - 900, 1800)
    axes.set_xticks([end - each for each in ago], [f"-{each // 60} min" if each else "now" for each in ago])
    axes.tick_params(labelsize=6.5, colors=FAINT, length=0)
    axes.grid(color="#e3e8ed", linewidth=0.6)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.12), ncol=6, fontsize=6.5, frameon=False, labelcolor=INK,
        handlelength=1.2, columnspacing=1.2,
    )  # fmt: skip


def draw_stat(axes, panel, results):
    defaults = panel["fieldConfig"]["defaults"]
    values = [(named(target["legendFormat"], each["metric"]), each) for target, found in results for each in found]
    axes.axis("off")
    for number, (name, each) in enumerate(sorted(values, key=lambda value: value[0])):
        value, x = float(each["value"][1]), (number + 0.5) / len(values)
        steps = [
            step["color"] for step in defaults["thresholds"]["steps"] if step["value"] is None or value >= step["value"]
        ]
        axes.text(
            x, 0.55, shown(value, defaults["unit"]), ha="center", va="center", fontsize=15, color=NAMED[steps[-1]]
        )
        axes.text(x, 0.12, name, ha="center", va="center", fontsize=7, color=FAINT)


def draw_table(axes, results):
    axes.axis("off")
    rows = [each["metric"] for _, found in results for each in found]
    columns = sorted({key for row in rows for key in row}, key=["slot", "role", "version", "commit"].index)
    wide = [1.7 if column == "commit" else 1 for column in columns]
    left = [sum(wide[:number]) / sum(wide) for number in range(len(columns))]
    for x, column in zip(left, columns, strict=True):
        axes.text(x, 0.88, column, fontsize=7, color=FAINT, va="center")
        for number, row in enumerate(sorted(rows, key=lambda row: row["slot"])):
            text = row[column][:12] if column == "commit" else row[column]
            axes.text(x, 0.56 - 0.3 * number, text, fontsize=8, color=INK, va="center")


def board(path, dashboard, marks, panels, start, end):
    mpl.use("Agg")
    plt.rcParams.update({"font.family": "DejaVu Sans", "axes.facecolor": CARD})
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel, _ in panels)
    width, head = 24 * PER_COLUMN, 0.55
    height = rows * PER_ROW + head + 0.1
    figure = plt.figure(figsize=(width, height), facecolor=PAPER)
    figure.text(0.15 / width, 1 - 0.3 / height, dashboard["title"], fontsize=13, weight="bold", color=INK, va="center")
    note = "service web, three hours   |   dashed: blue a release serves, red traffic went back"
    figure.text(1 - 0.15 / width, 1 - 0.3 / height, note, fontsize=7.5, color=FAINT, va="center", ha="right")
    for panel, results in panels:
        grid, gap = panel["gridPos"], 0.06
        x, w = grid["x"] * PER_COLUMN + gap, grid["w"] * PER_COLUMN - 2 * gap
        top, h = head + grid["y"] * PER_ROW + gap, grid["h"] * PER_ROW - 2 * gap
        card = plt.Rectangle((x / width, 1 - (top + h) / height), w / width, h / height, transform=figure.transFigure)
        card.set(facecolor=CARD, edgecolor="#d9dfe5", linewidth=0.8, zorder=-1)
        figure.add_artist(card)
        title = textwrap.shorten(panel["title"], 60)
        figure.text(
            (x + 0.12) / width, 1 - (top + 0.16) / height, title, fontsize=8.5, weight="bold", color=INK, va="center"
        )
        is_graph = panel["type"] == "timeseries"
        inside = (0.72, 0.15, 0.34, 0.52) if is_graph else (0.15, 0.1, 0.32, 0.06)
        place = (x + inside[0], top + inside[2], w - inside[0] - inside[1], h - inside[2] - inside[3])
        axes = figure.add_axes(
            (place[0] / width, 1 - (place[1] + place[3]) / height, place[2] / width, place[3] / height)
        )
        if is_graph:
            draw_graph(axes, panel, results, marks, start, end)
        elif panel["type"] == "stat":
            draw_stat(axes, panel, results)
        else:
            draw_table(axes, results)
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)
