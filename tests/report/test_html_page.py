"""The HTML report: one file that needs nothing, is well formed, and into which nothing can be smuggled."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from deflicker.report.html_page import render
from tests.report.made import measurement, measures, report


def page(made):
    return render(made.to_dict(), made.gallery)


VOID = {"meta", "img", "input"}
EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(1)>.mp4'


class Reader(HTMLParser):
    """Every element with its attributes; complains of what is not closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["script"], ["style"]):
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


REPORTS = {
    "run": report,
    "one": measurement,
    "two": lambda: measurement(other="after.mp4"),
}


@pytest.mark.parametrize("kind", REPORTS)
def test_it_is_well_formed_and_needs_nothing_else(kind):
    text = page(REPORTS[kind]())
    found = Reader(text)
    assert len(found.all("script")) == len(found.all("style")) == 1
    assert not found.all("link")
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in found.all("img"))
    assert not re.search(r"https?://|url\(|@import", text)
    assert not any(name.startswith("on") or name == "style" for _, attributes in found.elements for name in attributes)


def test_only_its_own_script_and_style_may_run():
    import base64
    import hashlib

    text = page(report())
    (policy,) = (each["content"] for each in Reader(text).all("meta") if "content" in each and "src" in each["content"])
    assert "default-src 'none'" in policy
    for tag in ("script", "style"):
        content = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize("place", ["source", "target", "note", "reason", "other"])
def test_what_comes_from_outside_is_harmless(place):
    made = {
        "source": lambda: report(source=EVIL),
        "target": lambda: report(target=EVIL),
        "note": lambda: report(note=EVIL),
        "reason": lambda: report(found=measures(reason=EVIL)),
        "other": lambda: measurement(other=EVIL),
    }[place]()
    text = page(made)
    found = Reader(text)
    assert len(found.all("script")) == 1
    assert all("onerror" not in attributes for _, attributes in found.elements)
    assert "script>" in found.text, "the name is shown as it is"


def test_what_a_reader_wants_to_know():
    found = Reader(page(report(note="the last frame has no time stamp"))).text
    for part in (
        "improved", "flicker of regions (2.00 → 0.50) fell", "Guards", "holds", "Frame by frame", "Drift", "better",
        "audio (aac)", "cover.png: mp4 holds none", "the last frame has no time stamp", "cpu: no GPU", "strength",
        "deflicker ", "torch ", "measured on small pictures",
    ):  # fmt: skip
        assert part in found, part


@pytest.mark.parametrize("kind", REPORTS)
def test_six_numbers_come_first_and_the_rest_is_folded(kind):
    found = Reader(page(REPORTS[kind]()))
    assert [each.get("class") for each in found.all("div")].count("card") == 6
    folded = [each for each in found.all("details") if each.get("class") == "more"]
    assert len(folded) == 4
    assert not any("open" in each for each in folded)


def test_one_video_has_no_after():
    text = page(measurement())
    found = Reader(text)
    assert "<th>after</th>" not in text
    assert len(found.all("img")) == 1
    assert "Guards" not in found.text
    assert not found.all("input")


def test_unavailable_says_why():
    assert "no weights for lpips_alex" in Reader(page(report(found=measures(reason="no weights for lpips_alex")))).text


def test_nothing_measured():
    from dataclasses import replace

    assert "Nothing was measured" in page(replace(report(), measures=None, gallery=None))


@pytest.mark.parametrize(("after", "css"), [(2.1, ""), (2.5, "bad"), (1.0, "good")])
def test_a_number_is_red_only_where_it_rose_by_more_than_measuring_moves_it(after, css):
    found = measures()
    changed = tuple(replace(each, after=after) if each.name == "boil" else each for each in found.metrics)
    text = page(report(found=replace(found, metrics=changed)))
    assert f'<strong class="{css}">{after:.3f}</strong>' in text
