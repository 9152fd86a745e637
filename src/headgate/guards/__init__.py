"""Detectors. Pure: text in, findings and replacements out."""
