"""Who made an artifact: signatures of OpenSSH, which many have a key for already.

Knows `ssh-keygen -Y` (https://man.openbsd.org/ssh-keygen.1) and its list of allowed signers; does
not know what is signed.
"""

import shutil
import subprocess
from pathlib import Path

from needlework.errors import ArtifactError

PROGRAM = "ssh-keygen"
NAMESPACE = "needlework-artifact"
"""What a signature is for: one made for something else says nothing here."""
SUFFIX = ".sig"


def sign(archive: Path, key: Path) -> Path:
    """Write the signature of an artifact by a private key, beside it; where it lies.

    Raises:
        ArtifactError: there is no `ssh-keygen`, or it refuses the key.
    """
    signature = archive.with_name(archive.name + SUFFIX)
    signature.unlink(missing_ok=True)
    done = _run("-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(archive))
    if done.returncode:
        raise ArtifactError(f"{archive}: not signed by {key}: {_last(done)}")
    return signature


def signer(archive: Path, signature: Path, allowed: Path) -> str:
    """Who of the `allowed` signers signed an artifact; a line of that file is a name and a key.

    Raises:
        ArtifactError: nobody of them signed these bytes.
    """
    names = _run("-Y", "find-principals", "-s", str(signature), "-f", str(allowed))
    if names.returncode or not names.stdout.strip():
        raise ArtifactError(
            f"{signature}: not by anybody whom {allowed} names ({_last(names)}); get another "
            "signature, or add a signer whom you trust"
        )
    name = names.stdout.splitlines()[0]
    with archive.open("rb") as content:
        words = ("-f", str(allowed), "-I", name, "-n", NAMESPACE, "-s", str(signature))
        done = _run("-Y", "verify", *words, given=content)
    if done.returncode:
        raise ArtifactError(
            f"{archive}: {signature} of {name} is for other bytes ({_last(done)}); it was changed "
            "since it was signed"
        )
    return name


def _run(*words: str, given: object = subprocess.DEVNULL) -> "subprocess.CompletedProcess[str]":
    if shutil.which(PROGRAM) is None:
        raise ArtifactError(f"{PROGRAM} is not installed; install OpenSSH's client programs")
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [PROGRAM, *words], stdin=given, capture_output=True, text=True, check=False
    )


def _last(done: "subprocess.CompletedProcess[str]") -> str:
    """What the program said last."""
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"
