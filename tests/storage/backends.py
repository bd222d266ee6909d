"""Which databases a test of the storage runs on, where that is not both."""

from __future__ import annotations

import pytest

on_sqlite = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
