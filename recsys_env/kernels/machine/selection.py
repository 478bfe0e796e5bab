"""Which compiler the kernels are compiled with: the package's own, or numba as it is published.

The package's own compiler is faster, but patches and extends numba's internals. It is used with the releases of numba
that it has been tested with. With any other, the modules in `plain/` take its place, so that a new release of numba
makes the package slower and does not break it. The environment variable RECSYS_ENV_COMPILER chooses one of the two, and
then nothing is checked. The choice holds for the whole process.
"""

from __future__ import annotations

import os
import sys

import numba

SETTING = "RECSYS_ENV_COMPILER"
OWN, PLAIN = "own", "plain"
LAST_KNOWN = 0, 68  # the latest release of numba that the tests have passed with


def select() -> tuple[str, str]:
    """Return "own" or "plain", and the reason if "plain" was not chosen by the setting (else "").

    Raises:
        ValueError: the environment variable RECSYS_ENV_COMPILER has another value.
    """
    setting = os.environ.get(SETTING)
    if setting is None:
        reason = _unknown_release() or _unknown_internals()
        return (PLAIN, reason) if reason else (OWN, "")
    if setting not in (OWN, PLAIN):
        raise ValueError(
            f'the environment variable {SETTING} = {setting!r} must be "{OWN}" or "{PLAIN}"; without it the package '
            f'chooses: "{OWN}" wherever it knows the internals of numba'
        )
    return setting, ""


def _unknown_release() -> str:
    if numba.version_info.short <= LAST_KNOWN:  # type: ignore[attr-defined]
        return ""
    return f"numba {numba.__version__} is newer than {'.'.join(map(str, LAST_KNOWN))}"


def _unknown_internals() -> str:
    """Import the files of the package's own compiler, as far as none needs `kernel`. If one fails, forget all of
    them."""
    before = set(sys.modules)
    try:
        from . import dispatchers, internals, packed, specialize  # noqa: F401
    except (ImportError, AttributeError) as error:
        package = sys.modules[__package__]
        for name in set(sys.modules) - before:
            if name.startswith(f"{__package__}."):
                del sys.modules[name]
                vars(package).pop(name.rpartition(".")[2], None)
        return f"numba {numba.__version__} has other internals ({error})"
    return ""
