"""Helpers that every part of the package uses and that no lesson is about."""
