"""What every part of the package leans on and no lesson is about."""
