"""Installs what requirements.txt, uv.lock or pyproject.toml name into a virtual environment, /build/venv.

A requirement called scraperwiki is left out: Haul's own is on the path already.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ENVIRONMENT = Path("/build/venv")
REQUIREMENTS = Path("/build/requirements.txt")
OTHER_FILE = re.compile(r"^\s*(-r|-c|--requirement|--constraint)[\s=]*(?![\s=/]|\w+://)")
NAMES_SCRAPERWIKI = re.compile(r"\s*scraperwiki\s*([^\w\s.-]|\s|$)|.*(#egg=scraperwiki\b|/scraperwiki-python\b)", re.IGNORECASE)


def main():
    if importlib.util.find_spec("pip") is None:
        sys.exit("pip is not installed on this machine: ask its operator for the package python3-pip")
    lines = [elsewhere(line) for line in requirements() if not NAMES_SCRAPERWIKI.match(line)]
    REQUIREMENTS.write_text("\n".join(lines) + "\n")
    venv.create(ENVIRONMENT, with_pip=False, symlinks=True)
    # Isolated: what the scraper's folder calls pip is not pip.
    pip = [sys.executable, "-I", "-m", "pip", "--python", str(ENVIRONMENT / "bin/python"), "install", "-r", str(REQUIREMENTS)]
    # /tmp is memory.
    with tempfile.TemporaryDirectory(dir="/build") as folder:
        sys.exit(subprocess.run(pip, env={**os.environ, "TMPDIR": folder}).returncode)


def elsewhere(line):
    """Names of other files count from the file in which they stand, which is in another folder now."""
    return OTHER_FILE.sub(rf"\1 {Path.cwd()}/", line)


def requirements():
    """The first of: requirements.txt, what uv has locked, the dependencies in pyproject.toml."""
    if Path("requirements.txt").is_file():
        return Path("requirements.txt").read_text().splitlines()
    if Path("uv.lock").is_file() and shutil.which("uv"):
        export = ["uv", "export", "--frozen", "--no-dev", "--no-emit-project", "--no-hashes", "--quiet"]
        return subprocess.run(export, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    if Path("uv.lock").is_file():
        print("uv is not installed on this machine: uv.lock is passed over, the versions in pyproject.toml count")
    return declared(Path("pyproject.toml"))


def declared(file):
    try:
        import tomllib
    except ImportError:
        sys.exit("pyproject.toml needs Python 3.11 or newer: name the dependencies in requirements.txt")
    content = tomllib.loads(file.read_text())
    if "dependencies" in content.get("tool", {}).get("poetry", {}):
        sys.exit("Poetry's own table is not read: write `poetry export -o requirements.txt` and keep that file, or use [project]")
    return content.get("project", {}).get("dependencies", [])


main()
