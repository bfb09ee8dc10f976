"""Figures of a report, drawn from its dictionary alone."""

from splinegraph.export.report_figures.saving import FIGURES, ReportFigureError, save_report_figures

__all__ = ["FIGURES", "ReportFigureError", "save_report_figures"]
