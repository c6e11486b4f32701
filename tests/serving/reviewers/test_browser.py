"""The reviewers' page in a real Chromium: by keyboard alone, without scripts, and with nothing for axe to find."""

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe

from tests.serving.reviewers.stage import PageStage
from tests.training.registry.stage import TOKENS
from training.registry.standing import DECISION

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

NOTE = "fewer refunds misrouted <b>in chat</b>"


@pytest.fixture(scope="module")
def staged(tmp_path_factory, migrated_mlflow) -> PageStage:
    """A champion, an inconclusive release, and a challenger that waits."""
    stage = PageStage(tmp_path_factory.mktemp("page") / "home", migrated_mlflow)
    stage.crown()
    stage.inconclusive, stage.challenger = stage.judge("inconclusive"), stage.challenge()
    stage.write_texts(stage.challenger)
    return stage


@pytest.fixture(scope="module")
def address(staged) -> Iterator[str]:
    """The address of the page, served as ``python -m serving.reviewers`` serves it."""
    config = uvicorn.Config(staged.app(), host="127.0.0.1", port=0, log_level="warning", proxy_headers=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def refused(page: "Page") -> list[str]:
    """What the browser refused to run or load, and what a script of the page met."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda said: found.append(said.text) if said.type == "error" else None)
    return found


def sign_in(page: "Page", address: str, name: str = "ana") -> None:
    """Sign in with nothing but keys: the field has the focus when the page opens."""
    page.goto(address)
    page.locator("#token:focus").wait_for()
    page.keyboard.type(TOKENS[name])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/")


def focused(page: "Page") -> str:
    return page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")


def check(page: "Page") -> None:
    """Hold a page against axe-core, at the width of a laptop and of a phone."""
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        found = Axe().run(page).response["violations"]
        assert [(rule["id"], node["html"]) for rule in found for node in rule["nodes"]] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_reviewer_signs_in_reads_and_approves_by_keyboard_alone(
    page: "Page", staged: PageStage, address: str, refused: list[str]
) -> None:
    sign_in(page, address)
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    page.keyboard.press("o")
    page.wait_for_url(f"{address}/challengers/{staged.challenger}")

    page.keyboard.press("g")
    assert focused(page) == "gates"
    page.keyboard.press("l")
    page.keyboard.press("Tab")
    page.keyboard.type("CARD_")
    rows = page.locator("table[data-filter=labels] tbody tr:visible th")
    assert all(name.startswith("card_") for name in rows.all_text_contents())
    assert 0 < rows.count() < 20
    for _ in range(2):  # the region that scrolls, then the first head
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert rows.all_text_contents() == sorted(rows.all_text_contents())
    assert page.locator("table[data-filter=labels] th[aria-sort=ascending]").inner_text().startswith("label")

    page.keyboard.press("c")
    assert focused(page) == "cases"
    page.keyboard.press("d")
    assert focused(page) == "note"
    page.keyboard.type(NOTE)
    page.keyboard.press("Tab")
    assert focused(page) == "Approve"
    page.keyboard.press("Enter")
    page.wait_for_url("**/challengers/*?entry=*")
    assert f"approve of version {staged.challenger} by ana" in page.get_by_role("status").first.inner_text()
    assert staged.ledger.entries(DECISION)[-1].body["note"] == NOTE
    assert staged.champion == staged.challenger
    assert refused == []


def test_axe_finds_nothing_on_any_page(page: "Page", staged: PageStage, address: str, refused: list[str]) -> None:
    page.goto(address)
    check(page)
    sign_in(page, address)
    for path in ("/", f"/challengers/{staged.inconclusive}", "/history"):
        page.goto(address + path)
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        check(page)
    assert refused == []
    page.goto(f"{address}/challengers/99")
    check(page)


def test_the_page_works_without_scripts(browser: "Browser", staged: PageStage, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, address)
    page.goto(f"{address}/challengers/{staged.inconclusive}")
    page.get_by_role("region", name="Labels of intent").get_by_role("link", name="cases", exact=True).click()
    page.wait_for_url("**?labels=-support#labels")
    page.locator("select[name=kind]").select_option("won")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**kind=won**")
    assert set(page.locator("table.cases .kind").all_text_contents()) == {"won"}
    page.get_by_label("Note").fill("more of phone, please")
    page.get_by_role("button", name="Ask for more evidence").click()
    page.wait_for_url("**?entry=*")
    assert staged.ledger.entries(DECISION)[-1].body["decision"] == "more_evidence"
    context.close()
