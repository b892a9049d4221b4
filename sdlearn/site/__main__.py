"""`python -m sdlearn.site FOLDER`: write the lessons, as they were saved, as a web site.

The folder can be put on any web server, GitHub Pages for example, or opened from the disk. With
`--live`, every lesson is run first, which takes long: films then have all their pictures, and move
without a kernel.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sdlearn.site.pages import build


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sdlearn.site",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="where the site goes; it is made if needed")
    parser.add_argument("--live", action="store_true", help="run the lessons, for moving films")
    parser.add_argument(
        "--lessons", nargs="+", metavar="NN", help="only these, such as 04 08; by default all"
    )
    return parser.parse_args()


if __name__ == "__main__":
    choice = parse()
    print(build(choice.folder, choice.lessons, choice.live))
