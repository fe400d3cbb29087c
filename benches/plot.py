"""The picture of the results that the README shows: SVG, written by hand."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

ROW_HEIGHT = 38
BAR_HEIGHT = 13
LABEL_WIDTH = 210
PLOT_WIDTH = 470
RATIO_WIDTH = 120
TOP = 74
BOTTOM = 56
# Both stay readable on a white and on a black page, which is where a README may be shown.
COLOURS = {"stock": "#8c8c8c", "coheld": "#d9622b"}
NAMES = {"stock": "multiprocessing.Manager", "coheld": "coheld.Manager"}
STYLE = """
  text { font-family: system-ui, sans-serif; font-size: 12px; fill: #24292f; }
  .quiet { fill: #6e7781; font-size: 11px; }
  .title { font-size: 15px; font-weight: 600; }
  .ratio { font-weight: 600; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .quiet { fill: #9198a1; } .grid { stroke: #3d444d; }
  }
"""


def duration(seconds: float) -> str:
    """A time in the unit that keeps its figures few."""
    for limit, factor, unit in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "us"), (1, 1e3, "ms")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


def times(ratio: float) -> str:
    """A ratio with as many figures as it deserves."""
    return f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.1f}x"


class Scale:
    """Seconds to a horizontal position, logarithmic."""

    def __init__(self, values: list[float]) -> None:
        self.low = math.floor(math.log10(min(values)))
        self.high = max(math.ceil(math.log10(max(values))), self.low + 1)

    def __call__(self, seconds: float) -> float:
        share = (math.log10(seconds) - self.low) / (self.high - self.low)
        return LABEL_WIDTH + PLOT_WIDTH * share


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{kind} text-anchor="{anchor}">{escape(content)}</text>'


def opening(width: int, height: int, title: str) -> list[str]:
    """What every picture begins with; `title` is for those who cannot see it."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
    ]


def draw(rows: list[tuple[str, float, float]], subtitle: str) -> str:
    """The picture as SVG text; a row is a name and the seconds of stock and Coheld."""
    scale = Scale([seconds for row in rows for seconds in row[1:]])
    width = LABEL_WIDTH + PLOT_WIDTH + RATIO_WIDTH
    height = TOP + ROW_HEIGHT * len(rows) + BOTTOM
    title = "Time per operation of multiprocessing.Manager and coheld.Manager"
    parts = [
        *opening(width, height, title),
        text(12, 24, "Time per operation (logarithmic, shorter is better)", "title"),
        text(12, 42, subtitle, "quiet"),
    ]
    legend = LABEL_WIDTH
    for side in ("stock", "coheld"):
        parts.append(
            f'<rect x="{legend}" y="52" width="11" height="11" rx="2" fill="{COLOURS[side]}"/>'
        )
        parts.append(text(legend + 16, 62, NAMES[side]))
        legend += 200
    bottom = TOP + ROW_HEIGHT * len(rows)
    for power in range(scale.low, scale.high + 1):
        x = scale(10.0**power)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(text(x, bottom + 16, duration(10.0**power), "quiet", "middle"))
    for number, (name, stock, coheld) in enumerate(rows):
        y = TOP + ROW_HEIGHT * number + 5
        parts.append(text(LABEL_WIDTH - 10, y + 18, name, anchor="end"))
        for side, seconds, offset in (("stock", stock, 0), ("coheld", coheld, BAR_HEIGHT + 1)):
            length = max(scale(seconds) - LABEL_WIDTH, 1)
            parts.append(
                f'<rect x="{LABEL_WIDTH}" y="{y + offset}" width="{length:.1f}" '
                f'height="{BAR_HEIGHT}" rx="2" fill="{COLOURS[side]}"/>'
            )
            parts.append(
                text(LABEL_WIDTH + length + 5, y + offset + 10, duration(seconds), "quiet")
            )
        parts.append(text(width - 12, y + 18, times(stock / coheld), "ratio", "end"))
    parts.append(
        text(
            12,
            height - 14,
            "Figures on the right: how many times faster Coheld is. Made by `make bench`.",
            "quiet",
        )
    )
    parts.append("</svg>")
    return "\n".join(parts) + "\n"
