"""Printed as JSON: what the Python that runs this file is, and every package it would import.

Runs in the *training* interpreter, which may be older than ours and has no Anchored: stdlib only,
Python 3.6 syntax. It is in a folder of its own because Python puts a script's folder first on
`sys.path`.
"""

import json
import os
import platform
import sys
import sysconfig


def packages():
    """Name to version of every distribution on `sys.path`; the first of a name is the one used."""
    try:
        from importlib.metadata import distributions
    except ImportError:
        return {}
    found = {}
    for distribution in distributions():
        header = head_of(distribution)
        name = header.get("name")
        if name:
            found.setdefault(name.lower().replace("_", "-"), header.get("version", ""))
    return found


def head_of(distribution):
    """The fields of a distribution's metadata, by lower-case name; of several the first.

    A tenth of a second faster for two hundred packages than the e-mail parser behind `.metadata`.
    """
    fields = {}
    for file in ("METADATA", "PKG-INFO", ""):  # a wheel's, an egg's, an egg-info that is a file
        head = (distribution.read_text(file) or "").split("\n\n", 1)[0]
        for line in head.splitlines():
            name, colon, value = line.partition(":")
            if colon:
                fields.setdefault(name.lower(), value.strip())
        if fields:
            break
    return fields


def editable():
    """Real paths of projects that are installed in editable mode (PEP 610)."""
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
                folders.append(os.path.realpath(unquote(urlparse(origin["url"]).path)))
    return folders


def added():
    """Real paths on `sys.path` that come neither from the interpreter nor from `PYTHONPATH`.

    A `.pth` file has put them there; `setup.py develop` leaves no other record.
    """
    # Not its prefixes: a repo may be below /usr, and an environment's root be the repo's.
    own = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    variable = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    known = {os.path.abspath(entry) for entry in variable}
    return [
        os.path.realpath(entry)
        for entry in sys.path
        if os.path.exists(entry)
        and entry not in known
        and not any((entry + os.sep).startswith(folder + os.sep) for folder in own)
    ]


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
        "added": added(),
    }
    json.dump(facts, sys.stdout)


if __name__ == "__main__":
    main()
