"""Where the course keeps what is not code: the shipped models and the lessons."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
ASSETS = ROOT / "assets"
TINY, FAMILIES = ASSETS / "tiny-sd", ASSETS / "families"
