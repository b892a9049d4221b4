"""Who may import whom: every module only from layers below it."""

import ast
from pathlib import Path

import sdlearn

ROOT = Path(sdlearn.__file__).parent
LAYERS = (
    (
        "arguments",
        "threads",
        "neighbours",
        "classroom",
        "hooks",
        "images",
        "progress",
        "sample_scores",
    ),
    ("noising", "loading", "picturebook", "things", "maps"),
    ("drawing", "judge", "text", "compression", "unet", "attention"),
    ("similarity", "denoising", "reweighting", "families"),
    ("pipeline", "map_scores"),
    ("plots", "notebook", "watching"),
    ("widgets", "check"),
    ("exercises",),
    ("train",),
    ("evaluate",),
)
BELOW_OR_BESIDE = {"things": {"picturebook"}, "check": {"exercises"}}
"""Two that are of one layer; and the registry, which finds the exercises by name when it is asked.
"""


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports_of(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("sdlearn"):
            found |= (
                {part_of(node.module)}
                if "." in node.module
                else {alias.name for alias in node.names}
            )
        elif isinstance(node, ast.Import):
            found |= {
                part_of(alias.name) for alias in node.names if alias.name.startswith("sdlearn.")
            }
    return found


def test_every_module_imports_only_from_below():
    height = {name: level for level, layer in enumerate(LAYERS) for name in layer}
    for file in ROOT.rglob("*.py"):
        part = file.relative_to(ROOT).parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        assert part in height, f"{file.name} stands in no layer"
        for other in imports_of(file) - {part} - BELOW_OR_BESIDE.get(part, set()):
            assert height[other] < height[part], (
                f"{file.relative_to(ROOT)} imports {other}, which is not below it"
            )
