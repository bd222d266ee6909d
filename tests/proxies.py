"""Proxies with TLS in front of a door, set up as `docs/sources.md` says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "sources.md"
HOST = "pictures.example.org"

NGINX = """
daemon off;
pid {home}/pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    {block}
}}
"""
CADDY = """
{{
    admin off
    auto_https disable_redirects
    local_certs
    skip_install_trust
}}
{block}
"""


def why_not(name: str) -> str:
    """Why a proxy cannot be used here; empty when it can."""
    absent = [program for program in (name, "openssl") if shutil.which(program) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


def start(name: str, home: Path, port: int, door: int) -> subprocess.Popen[bytes]:
    """Have a proxy listen on a port of this machine for a door on another one; with a certificate of its own making."""
    home.mkdir()
    _certify(home)
    block = _block(name).replace("8443", str(port)).replace("8080", str(door)).replace("/etc/ssl", str(home))
    written = home / f"{name}.conf"
    written.write_text({"nginx": NGINX, "caddy": CADDY}[name].format(home=home, block=block))
    command = {
        "nginx": ["nginx", "-e", "stderr", "-p", str(home), "-c", str(written)],
        "caddy": ["caddy", "run", "--adapter", "caddyfile", "--config", str(written)],
    }[name]
    environment = {**os.environ, "XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home), "HOME": str(home)}
    with (home / "log").open("wb") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def _block(name: str) -> str:
    (text,) = re.findall(rf"^```{name}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return str(text)


def _certify(home: Path) -> None:
    made = ["-keyout", str(home / "pictures.key"), "-out", str(home / "pictures.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={HOST}", *made]
    subprocess.run(command, check=True, capture_output=True)
