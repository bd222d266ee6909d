"""Text for eyes and logs: passwords that URLs carry are hidden. Knows nothing about where the text comes from.

What it does not recognise as a secret stays readable.
"""

from __future__ import annotations

import re

CREDENTIALS = re.compile(r"(://[^:/@\s]*):(?!\$\{\w+\}@)[^\s]*@")
PARAMETER = re.compile(r"(?i)((?:password|passwd|pwd|pass|token|secret|api_?key|auth)=)(?!\$\{)([^&\s'\"]*)")


def redacted(text: str) -> str:
    """The same text without passwords of URLs; `${NAME}`, which names a variable and is no secret, stays."""
    return PARAMETER.sub(r"\1***", CREDENTIALS.sub(r"\1:***@", text))
