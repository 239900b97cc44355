"""Numbers to pictures, and one HTML file."""

from importlib import import_module
from typing import Any

_MODULES = {  # each is loaded where one of its names is asked for: a command that draws nothing loads no Matplotlib
    "comparisons": ("Comparison",),
    "examples": ("Example", "example_figure"),
    "figures": ("forest_figure", "histogram_figure", "roc_figure", "write_figures"),
    "losses": ("loss_figure", "read_log"),
    "overlays": ("Overlay", "near_window", "outlines", "overlay_figure"),
    "report": ("Curve", "Entry", "Report", "render_report", "write_report"),
    "scores": ("Scores", "scores_at"),
    "sheet": ("SheetPicture", "write_sheet"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
