"""The files of the page for operators as a gateway sends them."""

from __future__ import annotations

from tests.support.world import Visit


def test_a_browser_that_has_a_file_is_sent_it_no_more(world: Visit) -> None:
    first = world.get("/admin/page/page.js")
    assert (first.status, first.get("Content-Type")) == (200, "text/javascript; charset=utf-8")
    assert first.get("X-Content-Type-Options") == "nosniff"
    tag = first.get("ETag") or ""
    with world.caller() as caller:
        for _ in range(2):
            again = caller.exchange("GET", "/admin/page/page.js", [("If-None-Match", tag)])
            assert (again.status, again.content, again.get("ETag")) == (304, b"", tag)
        assert caller.get("/admin/page/page.css").status == 200


def test_files_are_for_everybody_and_the_page_is_not(world: Visit) -> None:
    outside = [("X-Forwarded-For", "203.0.113.7")]
    assert world.get("/admin/page/page.css", outside).status == 200
    assert world.get("/admin/", outside).status == 403
    assert world.get("/admin/page/nothing.css", outside).status == 404
