"""The page in Chromium, from a file and without a network: what it makes, shows and says."""

import re
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.export.bloom import holds
from spellout.export.exporting import portable
from spellout.export.html import written
from spellout.export.reference import Reference
from spellout.generation.config import SamplingConfig
from spellout.generation.sampling import sample
from spellout.training.config import TrainingConfig

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
HOSTILE = ["<script>boom()</script>", "<img src=x onerror=boom()>", "</script><b>", "&lt;b&gt;", "a]]>", "{{1}}"]


@pytest.fixture(scope="module")
def chromium():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


def finished(page, number=r"[\d,]+"):
    page.locator("#made").get_by_text(re.compile(f"^{number} lines")).wait_for()


@pytest.fixture
def opened(chromium):
    """Open a file; gives the page. Whatever it asks for or complains of fails the test."""
    contexts = []

    def open_(path, hash_="", wait=True, before=None, **settings):
        context = chromium.new_context(**{"viewport": {"width": 900, "height": 800}, **settings})
        page, trouble = context.new_page(), []
        if before:
            page.add_init_script(before)
        contexts.append((context, trouble, path))
        page.on("request", lambda request: trouble.append(request.url.partition("#")[0]))
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.goto(f"file://{path}{hash_}")
        if wait:
            finished(page)
        return page

    yield open_
    for context, trouble, path in contexts:
        context.close()
        assert trouble == [f"file://{path}"]


def exported(lines, specification, path, **settings):
    data = Prepared.of(Lines.of(lines), DataConfig(split="none", **settings.pop("data", {})))
    run = train(data, specification, training=TrainingConfig(steps=10)).run
    about = {"model": specification, "nats": 2.0, "held_out": 40}
    made = portable(
        run.model, run.vocabulary, max_length=15, lines=run.lines, weights="int8", about=about, **settings
    )
    path.write_bytes(written(made))
    return path, made, run


@pytest.fixture(scope="module")
def page_of_names(names, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "names.html"
    return exported(names.distinct[:400], "counts:4:steps=10", path, name="names")


def texts(page):
    return page.locator("#lines button").all_text_contents()


def drawn(made, run, count, fresh=True, **settings):
    """The lines of the reference; if they are to be new, those that the filter does not know, each once."""
    config = SamplingConfig(max_length=15, **settings)
    several = (one.text for one in sample(Reference(made.step), run.vocabulary, config, cut=lambda _: False))
    if fresh:
        several = (one for one in dict.fromkeys(islice(several, 20 * count)) if not holds(made.known, [one])[0])
    return list(islice(several, count))


def test_it_makes_the_lines_that_python_makes(opened, page_of_names):
    path, made, run = page_of_names
    page = opened(path)
    assert texts(page) == drawn(made, run, 20)
    page.fill("[name=n]", "50")
    page.fill("[name=seed]", str(2**64 - 1))
    page.fill("[name=prefix]", "Ma")
    page.locator("[name=t]").fill("1.5")
    page.locator("[name=k]").fill("6")
    page.locator("[name=p]").fill("0.9")
    page.get_by_role("button", name="Make", exact=True).click()
    finished(page, 50)
    settings = {"seed": 2**64 - 1, "prefix": "Ma", "temperature": 1.5, "top_k": 6, "top_p": 0.9}
    wanted = drawn(made, run, 50, **settings)
    assert texts(page) == wanted
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert Path(download.value.path()).read_text("utf-8").splitlines() == wanted
    assert download.value.suggested_filename == "names.txt"
    page.get_by_label("New lines only").uncheck()
    page.get_by_role("button", name="Make", exact=True).click()
    finished(page, 50)
    assert texts(page) == drawn(made, run, 50, fresh=False, **settings)
    assert "new=0" in page.evaluate("location.hash")
    told = page.locator("dt:text-is('Size') + dd").text_content()
    assert told.startswith(f"{round(path.stat().st_size / 1000)} kB")


def test_a_link_is_a_state(opened, page_of_names):
    path, _, run = page_of_names
    page = opened(path, "#n=7&seed=3&t=0.5&letters=Mar&line=Maria")
    assert len(texts(page)) == len(set(texts(page))) == 7
    assert not set(texts(page)) & set(run.lines)
    assert page.locator("#letters-text").text_content() == "Mar"
    assert page.locator("[name=line]").input_value() == "Maria"
    page.fill("[name=seed]", "4")
    assert "seed=4" in page.evaluate("location.hash")
    again = opened(path, page.evaluate("location.hash"))
    assert again.locator("[name=seed]").input_value() == "4"


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("n=abc", "n=abc, which cannot be; n is 20 here."),
        ("seed=zz", "seed=zz, which cannot be; seed is 0 here."),
        ("n=999999", "n=999999, which cannot be; n is 20 here."),
        ("t=hot", "t=hot, which cannot be; t is 1 here."),
        ("label=9", "label=9, which cannot be; label is empty here."),
    ],
)
def test_a_link_that_says_what_cannot_be_is_told(opened, page_of_names, link, told):
    page = opened(page_of_names[0], f"#{link}")
    assert page.locator("#status").text_content().endswith(f"This link says {told}")
    assert len(texts(page)) == 20


def test_nothing_can_be_clicked_before_it_is_ready(opened, page_of_names):
    page = opened(
        page_of_names[0], wait=False, before="globalThis.Blob = class { stream() { return new ReadableStream(); } }"
    )
    assert page.locator("#status").text_content() == "Reading the model…"
    assert not page.get_by_role("button", name="Make", exact=True).is_visible()


def test_letter_by_letter_by_keyboard(opened, page_of_names):
    page = opened(page_of_names[0])
    first = page.locator("#bars button").first
    letter = first.locator(".name").text_content()
    first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#letters-text").text_content() == letter
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert len(page.locator("#letters-text").text_content()) == 2
    page.keyboard.press("Backspace")
    assert page.locator("#letters-text").text_content() == letter
    page.get_by_role("button", name="Show all").click()
    shares = page.locator("#bars .share").all_text_contents()
    assert len(shares) > 20
    assert page.get_by_role("button", name="Show fewer").get_attribute("aria-expanded") == "true"


def test_why_tells_every_letter(opened, page_of_names):
    path, made, run = page_of_names
    page = opened(path)
    line = texts(page)[0]
    page.locator("#lines button").first.click()
    letters = page.locator("#spelled button")
    assert letters.all_text_contents() == [*line, "end"]
    tokens = run.vocabulary.encode([line]).astype(int)
    rows = Reference(made.step).log_probabilities(tokens[None, :-1])[0]
    bits = -rows[range(len(tokens) - 1), tokens[1:]] / 0.6931471805599453
    said = [re.search(r"([\d.]+) bits", letters.nth(i).get_attribute("aria-label"))[1] for i in range(len(bits))]
    assert said == [f"{one:.1f}" for one in bits]
    page.mouse.move(0, 0)
    letters.nth(1).focus()
    assert page.locator("#detail").text_content() == letters.nth(1).get_attribute("aria-label")
    assert f"{bits.sum():.1f} bits" in page.locator("#verdict").text_content()
    page.fill("[name=line]", run.lines[0])
    assert "one of the lines that the model learned from" in page.locator("#verdict").text_content()
    page.fill("[name=line]", "Namamaman")
    assert "none of the lines that the model learned from; 40 more of the list were held out" in (
        page.locator("#verdict").text_content()
    )
    assert "40 more of the list were held out" in page.locator("dt:text-is('New lines') + dd").text_content()
    page.fill("[name=line]", "語")
    assert "stands in none of the lines" in page.locator("#verdict").text_content()


def test_hostile_lines_are_text(opened, tmp_path):
    names = {"name": "<script>boom()</script>«CODE»", "with_lines": True}
    path, _, _ = exported(HOSTILE * 3, "ngram:9", tmp_path / "hostile.html", **names)
    page = opened(path, "#n=60&new=0&line=%3Cimg%20src%3Dx%20onerror%3Dboom()%3E")
    assert set(texts(page)) & set(HOSTILE)
    assert page.locator("img, b").count() == 0
    assert page.locator("h1").text_content() == "More of <script>boom()</script>«CODE»"
    assert page.locator("#spelled button").count() == len("<img src=x onerror=boom()>") + 1


def test_where_nothing_new_can_be_made_it_says_so(opened, tmp_path):
    path, _, _ = exported(["anna"] * 30 + ["bob"], "ngram:3", tmp_path / "one.html", name="one")
    page = opened(path, "#k=1", wait=False)
    page.get_by_text(
        "stopped after 0 of 20 lines: 1,000 tries in a row brought no other new line; raise the temperature, or "
        "allow known lines"
    ).wait_for()


def test_lines_with_labels_can_be_asked_for_one(opened, tmp_path):
    lines = ["f\tanna", "f\tanja", "m\tbob", "m\tbert", "m\tben", "f\tada"] * 5
    path, made, run = exported(lines, "counts:3:steps=10", tmp_path / "l.html", name="names", data={"label": "1"})
    page = opened(path, "#letters=b")
    chances = {}
    for label, share in zip(made.labels, made.shares, strict=True):
        tokens = run.vocabulary.encode([f"{label}\tb"]).astype(int)[:-1]
        first, second = np.exp(Reference(made.step).log_probabilities(tokens[None])[0, 1:])
        first[[0, *made.never]] = second[[*made.never]] = 0
        chances[label] = share * first[tokens[2]] / first.sum() * second / second.sum()
    after = sum(chances.values()) / sum(one.sum() for one in chances.values())
    shown = page.locator("#bars button").first
    assert shown.locator(".name").text_content() == made.texts[after.argmax()]
    assert shown.locator(".share").text_content() == f"{100 * after.max():.0f} %"
    labels = page.locator("#lines .label").all_text_contents()
    assert {one.strip() for one in labels} == {"f", "m"}
    page.select_option("[name=label]", label="m")
    page.get_by_role("button", name="Make", exact=True).click()
    page.locator("#lines:not(:has(li:nth-child(21)))").wait_for()
    page.locator("#lines li:nth-child(20)").wait_for()
    assert {one.strip() for one in page.locator("#lines .label").all_text_contents()} == {"m"}


def test_counts_and_network_say_what_each_adds(opened, names, tmp_path):
    path, _, _ = exported(names.distinct[:200], "gru:4+ngram:3", tmp_path / "both.html", name="names")
    page = opened(path, "#line=Maria")
    said = [one.get_attribute("aria-label") for one in page.locator("#spelled button").all()]
    both = r"Bits for it: counts [+−][\d.]+(, the network [+−][\d.]+)?\.$|Bits for it: the network [+−][\d.]+\.$"
    assert any(re.search(both, one) for one in said)
    assert not any(re.search(r"[+−]0\.0\b", one) for one in said)


@pytest.mark.parametrize("dark", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_it_fits_every_screen(opened, page_of_names, width, dark):
    page = opened(page_of_names[0], "#line=Maria", viewport={"width": width, "height": 800}, color_scheme=dark)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for name in ("Make", "Copy", "Download", "Take back"):
        box = page.get_by_role("button", name=name, exact=True).bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width


def contrast(one, other):
    """WCAG's ratio of two colours of CSS."""

    def luminance(colour):
        parts = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", ["light", "dark"])
def test_everything_can_be_read(opened, page_of_names, dark):
    page = opened(page_of_names[0], "#line=Mqzx", color_scheme=dark)
    pairs = page.evaluate(
        """seen => [...document.querySelectorAll(seen)].map(element => {
            const style = getComputedStyle, name = element.outerHTML;
            for (let one = element; one; one = one.parentElement) {
                const behind = style(one).backgroundColor;
                if (!/, 0\\)$/.test(behind)) return [name, style(element).color, behind];
            }
            throw Error(name);
        })""",
        "label, p, h1, h2, dt, dd, output, button:not(:disabled), .key span, input, .share, .name",
    )
    assert len(pairs) > 80
    for name, *colours in pairs:
        assert contrast(*colours) >= 4.5, (name, colours)


def test_a_damaged_file_and_an_old_browser_are_told(opened, page_of_names, tmp_path):
    page = page_of_names[0].read_bytes().decode()
    start = page.index('id="model">') + 11
    damaged = tmp_path / "damaged.html"
    damaged.write_bytes((page[: start + 500] + page[start + 510 :]).encode())
    opened(damaged, wait=False).get_by_text("is damaged, as after an incomplete download").wait_for()
    for end in (start + 500, page.index('id="code">') + 500, page.index("</main>")):
        part = tmp_path / f"part{end}.html"
        part.write_bytes(page[:end].encode())
        opened(part, wait=False).get_by_text("is damaged, as after an incomplete download").wait_for()
    old = opened(page_of_names[0], wait=False, before="delete window.DecompressionStream")
    old.get_by_text("This browser is too old to unpack the model; use one of 2023 or later").wait_for()


def test_nothing_but_its_own_script_may_run(page_of_names):
    page = page_of_names[0].read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; ")
    assert re.fullmatch(r".* script-src( 'sha256-[\w+/=]+'){2}; style-src 'sha256-[\w+/=]+'", policy)
    assert not re.search(r"https?://", page)
