"""Fetch the JavaScript libraries of the report's page again, at the versions that vendor.json records.

Without an option it compares what npm gives with the hashes recorded, and writes nothing. With `--write` it writes
the files, and records their hashes: for a new version, which is first typed into vendor.json. It needs npm.

    python tools/vendor.py [--write]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

VENDOR = Path(__file__).resolve().parent.parent / "splinegraph" / "export" / "html" / "vendor"


def fetched(package: str, version: str, folder: Path) -> dict[str, bytes]:
    """Return the files of a package by their path in it."""
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), f"{package}@{version}"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder).stdout
    with tarfile.open(folder / printed.split()[-1]) as archive:
        members = [member for member in archive if member.isfile()]
        return {m.name.partition("/")[2]: archive.extractfile(m).read() for m in members}  # type: ignore[union-attr]


def update(row: dict[str, Any], folder: Path, *, write: bool) -> bool:
    """Compare a library with npm's; return whether it is the same, or was written."""
    files = fetched(row["package"], row["version"], folder)
    texts = {row["file"]: files[row["source"]], "LICENSE": files["LICENSE"]}
    for bundled in row["bundles"]:
        name, _, version = bundled.rpartition("@")
        texts[f"LICENSE.{name.rpartition('/')[2]}"] = fetched(name, version, folder)["LICENSE"]
    target = VENDOR / row["key"]
    if write:
        target.mkdir(exist_ok=True)
        for name, text in texts.items():
            (target / name).write_bytes(text)
        row["sha256"] = hashlib.sha256(texts[row["file"]]).hexdigest()
        return True
    kept = {path.name: path.read_bytes() for path in target.iterdir()}
    return kept == texts and hashlib.sha256(texts[row["file"]]).hexdigest() == row["sha256"]


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the files and their hashes")
    asked = parser.parse_args()
    rows = json.loads((VENDOR / "vendor.json").read_text(encoding="utf-8"))
    good = True
    for row in rows:
        with tempfile.TemporaryDirectory() as folder:
            same = update(row, Path(folder), write=asked.write)
        sys.stdout.write(f"{row['package']}@{row['version']}: {'as recorded' if same else 'DIFFERS'}\n")
        good = good and same
    if asked.write:
        (VENDOR / "vendor.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
