"""The REST API of a throw-away Airflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

USER = "admin"


class AirflowApi:
    """Airflow's REST API, as the admin of its SimpleAuthManager.

    :param url: the api-server's address, without a slash at the end.
    :param home: the ``AIRFLOW_HOME``, where Airflow keeps the password that it made up.
    """

    def __init__(self, url: str, home: Path) -> None:
        self.url = url
        self.passwords = home / "simple_auth_manager_passwords.json.generated"
        self._session = requests.Session()
        # No proxy of the environment comes between this machine and itself.
        self._session.trust_env = False

    def healthy(self) -> bool:
        """Return whether all four of Airflow's processes are at work."""
        try:
            parts = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=10).json()
        except requests.RequestException:
            return False
        return all(part["status"] == "healthy" for part in parts.values())

    def log_in(self) -> None:
        """Get a token with the admin's password."""
        password = json.loads(self.passwords.read_text())[USER]
        answer = self._session.post(
            f"{self.url}/auth/token", json={"username": USER, "password": password}, timeout=30
        )
        answer.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def ask(self, method: str, *path: str, **body: Any) -> Any:
        """Call the API.

        :param method: the HTTP method.
        :param path: what follows ``/api/v2``, in parts that need no quoting.
        :param body: fields of the JSON body; of a GET, parameters.
        :raises requests.HTTPError: when it answers an error.
        """
        url = "/".join([f"{self.url}/api/v2", *(quote(part, safe="") for part in path)])
        fields = {"params": body} if method == "GET" else {"json": body}
        answer = self._session.request(method, url, timeout=30, **fields)  # type: ignore[arg-type]
        if not answer.ok:
            raise requests.HTTPError(f"{method} {url}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None
