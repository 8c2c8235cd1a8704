"""What a command does once in its process, done in the server before it forks: imported last there."""

from __future__ import annotations

import gc

from dvc.config import get_compiled_schema
from sqlalchemy.orm import configure_mappers

get_compiled_schema()
configure_mappers()
# A collection in a forked process would copy every page of what the server imported.
gc.collect()
gc.freeze()
