"""The picture of a soak: two charts over one axis of time, SVG written by hand."""

from __future__ import annotations

import math

from plot import duration, opening, text

LEFT = 80
RIGHT = 150
PLOT_WIDTH = 520
PLOT_HEIGHT = 150
TOP = 64
GAP = 46
BOTTOM = 40
LINE_HEIGHT = 14
WIDTH = LEFT + PLOT_WIDTH + RIGHT
HEIGHT = TOP + 2 * PLOT_HEIGHT + GAP + BOTTOM
# Readable on white and on black.
COLOURS = ("#d9622b", "#3b7dd8", "#8c8c8c")

LATENCIES = (("p99.9", "p999_ns"), ("p99", "p99_ns"), ("p50", "p50_ns"))
MEMORY = (
    ("backed", "backed_bytes"),
    ("in use, full", "grown_bytes"),
    ("manager's own", "manager_bytes"),
)


def mebibytes(value: float) -> str:
    return f"{value / 2**20:,.0f} MiB"


def draw(cycles: list[dict], killed: int) -> str:
    """Latencies above, memory below."""
    length = cycles[-1]["at"]
    parts = [
        *opening(WIDTH, HEIGHT, "Latencies and memory over time while workers are killed"),
        text(12, 24, "Latency of increments, and memory, while workers are killed", "title"),
        text(12, 42, f"{len(cycles)} cycles, {killed:,} kills; made by `make soak`", "quiet"),
    ]
    lowest = min(cycle[name] for cycle in cycles for _, name in LATENCIES)
    highest = max(cycle[name] for cycle in cycles for _, name in LATENCIES)
    low, high = math.floor(math.log10(lowest)), math.ceil(math.log10(highest))
    ticks = [10.0**power for power in range(low, high + 1)]
    parts += chart(
        cycles,
        LATENCIES,
        TOP,
        ticks,
        lambda value: (math.log10(value) - low) / (high - low),
        lambda value: duration(value * 1e-9),
    )
    top = TOP + PLOT_HEIGHT + GAP
    most = max(cycle[name] for cycle in cycles for _, name in MEMORY)
    step = 2 ** math.ceil(math.log2(most / 4))
    ticks = [float(step * number) for number in range(math.ceil(most / step) + 1)]
    parts += chart(cycles, MEMORY, top, ticks, lambda value: value / ticks[-1], mebibytes)
    bottom = top + PLOT_HEIGHT
    for quarter in range(5):
        x = LEFT + PLOT_WIDTH * quarter / 4
        parts.append(text(x, bottom + 18, f"{length * quarter / 4:,.0f} s", "quiet", "middle"))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def chart(cycles, lines, top, ticks, share, label) -> list[str]:
    """One chart: `share` says how high a value lies, from 0 to 1."""
    length = cycles[-1]["at"]
    parts = []

    def height(value: float) -> float:
        return top + PLOT_HEIGHT * (1 - share(value))

    for tick in ticks:
        y = height(tick)
        right = LEFT + PLOT_WIDTH
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        parts.append(text(LEFT - 8, y + 4, label(tick), "quiet", "end"))
    for (_name, field), colour in zip(lines, COLOURS):
        points = " ".join(
            f"{LEFT + PLOT_WIDTH * cycle['at'] / length:.1f},{height(cycle[field]):.1f}"
            for cycle in cycles
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        )
    # Names stand where their lines end, but not on each other.
    x, lowest = LEFT + PLOT_WIDTH + 8, 0.0
    ends = sorted(
        (height(cycles[-1][field]) + 4, name, colour)
        for (name, field), colour in zip(lines, COLOURS)
    )
    for y, name, colour in ends:
        lowest = max(y, lowest + LINE_HEIGHT)
        parts.append(f'<text x="{x}" y="{lowest:.1f}" style="fill: {colour}">{name}</text>')
    return parts
