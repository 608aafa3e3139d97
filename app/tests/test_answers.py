"""What the service answers."""

import pytest
from starlette.testclient import TestClient

from web import health
from web.app import create_app
from web.settings import Settings

SETTINGS = Settings(version="1.4.2", commit="a" * 40, deployment="production#7", hostname="box")


@pytest.fixture
def client() -> TestClient:
    return TestClient(create_app(SETTINGS), raise_server_exceptions=False)


def test_index_says_who_answers(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["service"], body["version"], body["hostname"]) == ("web", "1.4.2", "box")


def test_version_is_the_release_that_runs(client: TestClient) -> None:
    assert client.get("/version").json() == {
        "version": "1.4.2",
        "commit": "a" * 40,
        "deployment": "production#7",
    }


def test_healthy(client: TestClient) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_unhealthy_says_why(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "problems", lambda: ["the disk is full"])
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == ["the disk is full"]


@pytest.mark.parametrize("path", ["/", "/healthz", "/version", "/metrics"])
def test_head_is_answered_and_post_is_refused(client: TestClient, path: str) -> None:
    assert client.head(path).status_code == 200
    assert client.post(path).status_code == 405


def test_unknown_path(client: TestClient) -> None:
    assert client.get("/nothing").status_code == 404


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RELMAN_VERSION", "RELMAN_COMMIT", "RELMAN_DEPLOYMENT", "RELMAN_SERVICE", "PORT"):
        monkeypatch.delenv(name, raising=False)
    bare = Settings.from_environment()
    assert (bare.version, bare.commit, bare.deployment, bare.port) == ("unknown", "unknown", "unknown", 8000)
    monkeypatch.setenv("RELMAN_VERSION", "2.0.0")
    monkeypatch.setenv("RELMAN_COMMIT", "b" * 40)
    monkeypatch.setenv("RELMAN_DEPLOYMENT", "")
    monkeypatch.setenv("PORT", "9000")
    told = Settings.from_environment()
    assert (told.version, told.commit, told.deployment, told.port) == ("2.0.0", "b" * 40, "unknown", 9000)
