"""Build the wheel, install it in a clean environment, run README's first example without network.

    python tests/packaging/check_wheel.py        # or: make wheel

Installing needs an index of packages; the example itself runs in a network namespace without any
network where the system permits one, and with a proxy that nobody answers where it does not.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAX_MB = 16.0
"""What a wheel may weigh: a package with its weights inside is fetched by every CI run."""
NOISE = """
import numpy, soundfile
soundfile.write("dog.wav", numpy.random.default_rng(0).uniform(-0.5, 0.5, 48000), 16000)
"""


def first_example() -> list[str]:
    """The first `humanclap score` line of README, as words of a command line."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^    (humanclap score \S+\.wav .*)$", readme, re.MULTILINE)
    if found is None:
        raise SystemExit("README.md has no line `humanclap score CLIP.wav TEXT`")
    return shlex.split(found[1], comments=True)


def without_network() -> tuple[list[str], dict[str, str]]:
    """What to put before a command, and its environment, so that it reaches no network."""
    unshare = shutil.which("unshare")
    if unshare and not subprocess.run([unshare, "-rn", "true"], capture_output=True).returncode:
        return [unshare, "-rn"], {}
    dead = "http://127.0.0.1:9"
    return [], {"HTTP_PROXY": dead, "HTTPS_PROXY": dead, "http_proxy": dead, "https_proxy": dead}


def main() -> None:
    """Raises SystemExit with the reason where the wheel does not do what README promises."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "wheel", str(ROOT), "--no-deps", "-w", folder], check=True)
        [wheel] = work.glob("*.whl")
        megabytes = wheel.stat().st_size / 1e6
        if megabytes > MAX_MB:
            raise SystemExit(f"{wheel.name} has {megabytes:.1f} MB, more than {MAX_MB:g}")
        subprocess.run([sys.executable, "-m", "venv", str(work / "clean")], check=True)
        python = work / "clean/bin/python"
        install = [str(python), *pip[1:], "install", "-c", str(ROOT / "constraints.txt")]
        subprocess.run([*install, str(wheel)], check=True)
        before, settings = without_network()
        kept = {name: os.environ[name] for name in ("LANG", "LC_ALL") if name in os.environ}
        environment = {**kept, **settings, "HOME": folder, "PATH": f"{python.parent}:/usr/bin:/bin"}
        subprocess.run([str(python), "-c", NOISE], cwd=work, env=environment, check=True)
        command = [*before, *first_example()]
        shown = subprocess.run(
            command, cwd=work, env=environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        if not re.match(r"-?[01]\.\d{4}\b", shown):
            raise SystemExit(f"{shlex.join(command)} printed {shown!r}, not a score")
        print(f"{wheel.name}, {megabytes:.2f} MB: {shlex.join(command)} -> {shown.strip()}")


if __name__ == "__main__":
    main()
