"""Metrics of face recognition: arrays in, named numbers out. Pure NumPy, no state."""

from .rates import area_under_curve, check_issame, equal_error_rate, roc_curve, tar_at_far

__all__ = ["area_under_curve", "check_issame", "equal_error_rate", "roc_curve", "tar_at_far"]
