"""What the service measures."""

from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from web.app import create_app
from web.settings import Settings


async def broken(request: Request) -> Response:
    raise RuntimeError("broken on purpose")


def client() -> TestClient:
    settings = Settings(version="1.4.2", commit="abc")
    return TestClient(create_app(settings, [Route("/broken", broken)]), raise_server_exceptions=False)


def samples(client: TestClient, name: str) -> dict[tuple[str, ...], float]:
    """Label values (in the order of their names) to value, for one sample name."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


def test_requests_are_counted_by_method_route_and_status() -> None:
    web = client()
    web.get("/")
    web.get("/")
    web.post("/version")
    counts = samples(web, "http_requests_total")
    assert counts["GET", "/", "200"] == 2
    assert counts["POST", "/version", "405"] == 1


def test_an_exception_counts_as_500() -> None:
    web = client()
    assert web.get("/broken").status_code == 500
    assert samples(web, "http_requests_total")["GET", "/broken", "500"] == 1


def test_latency_is_a_histogram() -> None:
    web = client()
    web.get("/")
    assert samples(web, "http_request_duration_seconds_count")["GET", "/"] == 1
    buckets = samples(web, "http_request_duration_seconds_bucket")
    assert buckets["+Inf", "GET", "/"] == 1


def test_build_info_names_the_release() -> None:
    assert samples(client(), "service_build_info") == {("abc", "web", "1.4.2"): 1}


def test_no_request_is_left_in_flight() -> None:
    web = client()
    web.get("/broken")
    # The request for the metrics themselves.
    assert samples(web, "http_requests_in_flight") == {(): 1}


def test_a_client_cannot_make_new_series() -> None:
    web = client()
    web.get("/a")
    web.request("BREW", "/")
    before = len(samples(web, "http_requests_total"))
    for number in range(200):
        web.get(f"/{number}")
        web.get(f"/?q={number}")
        web.request(f"BREW{number}", "/")
    assert len(samples(web, "http_requests_total")) - before <= 2
