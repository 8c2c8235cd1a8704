"""Printed as JSON: what the Python that runs this file is, and every package it would import.

Runs in the *training* interpreter, which may be older than ours and has no Anchored: stdlib only,
Python 3.6 syntax. It stands in a folder of its own because Python puts a script's folder first on
`sys.path`.
"""

import json
import os
import platform
import sys


def packages():
    """Name to version of every distribution on `sys.path`; the first of a name is the one used."""
    try:
        from importlib.metadata import distributions
    except ImportError:
        return {}
    found = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(name.lower().replace("_", "-"), distribution.version)
    return found


def editable():
    """Folders of projects that are installed in editable mode (PEP 610)."""
    try:
        from importlib.metadata import distributions
    except ImportError:
        return []
    from urllib.parse import unquote, urlparse

    folders = []
    for distribution in distributions():
        text = distribution.read_text("direct_url.json")
        if text and '"editable"' in text:
            origin = json.loads(text)
            if origin.get("dir_info", {}).get("editable"):
                folders.append(unquote(urlparse(origin["url"]).path))
    return folders


def cpu():
    """The processor's name as the kernel has it; `platform.processor()` is empty on Linux."""
    try:
        with open("/proc/cpuinfo") as stream:
            for line in stream:
                if line.startswith(("model name", "Model")):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor()


def main():
    sys.path.pop(0)
    facts = {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu": cpu(),
        "cpus": os.cpu_count() or 0,
        "packages": packages(),
        "editable": editable(),
    }
    json.dump(facts, sys.stdout)


if __name__ == "__main__":
    main()
