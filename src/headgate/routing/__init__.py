"""Routing decisions. Pure: values in, a target out."""
