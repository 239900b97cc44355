"""Numbers to pictures, and one HTML file."""

from mammo_tf.reporting.comparisons import Comparison
from mammo_tf.reporting.examples import Example, example_figure
from mammo_tf.reporting.figures import forest_figure, histogram_figure, roc_figure, write_figures
from mammo_tf.reporting.losses import loss_figure, read_log
from mammo_tf.reporting.overlays import Overlay, near_window, outlines, overlay_figure
from mammo_tf.reporting.report import Curve, Entry, Report, render_report, write_report
from mammo_tf.reporting.scores import Scores, scores_at
from mammo_tf.reporting.sheet import SheetPicture, write_sheet

__all__ = [
    "Comparison",
    "Curve",
    "Entry",
    "Example",
    "Overlay",
    "Report",
    "Scores",
    "SheetPicture",
    "example_figure",
    "forest_figure",
    "histogram_figure",
    "loss_figure",
    "near_window",
    "outlines",
    "overlay_figure",
    "read_log",
    "render_report",
    "roc_figure",
    "scores_at",
    "write_figures",
    "write_report",
    "write_sheet",
]
