"""Text for eyes and logs: passwords that URLs carry are hidden. Knows nothing about where the text comes from."""

from __future__ import annotations

import re

CREDENTIALS = re.compile(r"(://[^:/@\s]*):[^\s]*@")
SECRET_PARAMETER = re.compile(r"(?i)((?:password|passwd|token|secret|api_?key)=)[^&\s]*")


def redacted(text: str) -> str:
    """The same text without passwords of URLs."""
    return SECRET_PARAMETER.sub(r"\1***", CREDENTIALS.sub(r"\1:***@", text))
