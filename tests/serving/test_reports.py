import pytest
from starlette.testclient import TestClient

from serving.reports import HEALTH, USERNAME, build_app

SIGNED_IN = (USERNAME, "secret")
PAGE = "<h1>Agreement</h1>"


@pytest.fixture
def client(tmp_path):
    reports = tmp_path / "home" / "reports"
    (reports / "label-quality").mkdir(parents=True)
    (reports / "label-quality" / "reviewers.html").write_text(PAGE)
    (tmp_path / "home" / "secrets.env").write_text("CXLOOP_KEY=canary\n")
    return TestClient(build_app(reports, "secret"))


@pytest.mark.parametrize("path", ["/", "/label-quality/reviewers.html", "/nothing.html"])
@pytest.mark.parametrize("auth", [None, (USERNAME, "guess"), ("somebody", "secret"), (USERNAME, "")])
def test_nobody_reads_a_report_without_the_password(client, path, auth):
    answer = client.get(path, auth=auth)
    assert answer.status_code == 401
    assert "Basic" in answer.headers["www-authenticate"]
    assert "CXLOOP_REPORTS_PASSWORD" in answer.text
    assert PAGE not in answer.text


def test_a_reviewer_finds_and_reads_the_reports(client):
    assert 'href="/label-quality/reviewers.html"' in client.get("/", auth=SIGNED_IN).text
    assert client.get("/label-quality/reviewers.html", auth=SIGNED_IN).text == PAGE


@pytest.mark.parametrize("path", ["/../secrets.env", "/%2e%2e/secrets.env", "/label-quality/..%2f..%2fsecrets.env"])
def test_nothing_beside_the_reports_is_served(client, path):
    answer = client.get(path, auth=SIGNED_IN)
    assert answer.status_code == 404
    assert "canary" not in answer.text


def test_an_empty_home_has_an_index(tmp_path):
    answer = TestClient(build_app(tmp_path / "reports", "secret")).get("/", auth=SIGNED_IN)
    assert "No report was written yet." in answer.text


def test_health_says_nothing_but_that_pages_are_served(client):
    assert client.get(HEALTH).text == "ok"
