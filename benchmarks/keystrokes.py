"""Time the explorer in Chromium: from a key to repainted strips, the first picture, the work of a scrolled frame.

    python benchmarks/keystrokes.py [--networks counter "1 x 128" "3 x 512"] [--keys 60] [--long] [--write]

Every network has random weights and reads a text of 200 characters. A key is pressed at the end of the text ("append")
and in its middle ("insert"); its time runs from the event of the key to the end of the frame in which the strips show
the longer text. A key on the slider of a signal in the middle of the text holds it ("hold a signal"); its time runs to
the end of the frame in which the strips show the held network. Enter in the box of the seed lets the network write 40
other symbols behind the text, up to the frame that shows them. The first picture is timed from the navigation. "A bare
page" is the peer: a field with the same text and a canvas on which every letter draws 2,000 rectangles, without a
network; machine and browser need that time for any page.
Scrolling moves 20,000 characters of 128 neurons by one frame at a time, and the work is everything that the main thread
runs between two frames. --long opens 20,000 characters of 3 x 512 neurons and prints the processor time and the largest
memory of server and browser. Times are p50 / p95.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlencode

from machine import machine
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, sync_playwright

from gatescope import TASKS, Network, Settings, configure, create_run
from gatescope.tasks import Task
from gatescope.tasks.text import Text

RESULTS = Path(__file__).parent / "results" / "keystrokes.md"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
STEPS, LONG_STEPS, SCROLLED_FRAMES = 200, 20_000, 120
FIRST_PICTURES = 7
WAIT_MS = 60_000
LONG_WAIT_MS = 240_000
PAUSE_MS = 250  # between two keys: what follows a key (the check) must not delay the next one by chance

WATCH = """
    const painted = new Map()  // steps -> when a frame with a picture of so many steps was painted
    const waiting = new Map()
    let [shown, held] = [undefined, () => undefined]  // the holds of the last frame, and who waits for other ones
    const { port1, port2 } = new MessageChannel()
    // A message that is sent while a frame is drawn arrives when the frame is painted.
    port2.onmessage = ({ data: { steps, holds } }) => {
        if (!painted.has(steps)) painted.set(steps, performance.now())
        waiting.get(steps)?.(painted.get(steps))
        if (holds !== shown) held(performance.now())
        shown = holds
    }
    const { setTransform } = CanvasRenderingContext2D.prototype
    CanvasRenderingContext2D.prototype.setTransform = function (...values) {
        // Each drawing of the strips begins with it.
        const { testid, steps, holds } = this.canvas.dataset ?? {}
        if (testid === 'strips-canvas') port1.postMessage({ steps: Number(steps), holds })
        return setTransform.apply(this, values)
    }
    window.gatescopeTiming = {
        painted: (steps) => painted.get(steps) ?? new Promise((resolve) => waiting.set(steps, resolve)),
        held: () => new Promise((resolve) => (held = resolve)),
        pressed: () => new Promise((resolve) =>
            addEventListener('keydown', (event) => resolve(event.timeStamp), { once: true, capture: true })),
    }
"""


WRITTEN = 40
CONTINUATION_MS = 100
WRITES = """(symbols) =>
    Number(document.querySelector('[data-testid=strips-canvas]')?.dataset.written) === symbols"""
REWRITTEN = """() => {
    const text = () => document.querySelector('[data-testid=written]')?.textContent
    const before = text()
    window.gatescopeWritten = new Promise((resolve) => {
        let pressed = NaN
        addEventListener('keydown', (event) => (pressed = event.timeStamp), { once: true, capture: true })
        const observer = new MutationObserver(() => {
            if (text() === before) return
            observer.disconnect()
            // The canvas is painted in the frame after the text.
            requestAnimationFrame(() => requestAnimationFrame((now) => resolve(now - pressed)))
        })
        observer.observe(document.body, { subtree: true, childList: true, characterData: true })
    })
}"""


BARE_PAGE = """<textarea data-testid="text-box" rows="3" cols="120"></textarea>
<canvas width="1200" height="420"></canvas>
<script>
    const canvas = document.querySelector('canvas')
    const draw = (steps) => {
        const pen = canvas.getContext('2d')
        const { port1, port2 } = new MessageChannel()
        port2.onmessage = () => window.bareResolve?.(performance.now())
        for (let k = 0; k < 2000; k++) {
            pen.fillStyle = `rgb(${(k + steps) % 256}, 120, 120)`
            pen.fillRect(6 * (k % 200), 20 * Math.floor(k / 200), 6, 19)
        }
        port1.postMessage(null)
    }
    document.querySelector('textarea').oninput = ({ target }) => requestAnimationFrame(() => draw(target.value.length))
</script>"""
BARE_ANSWER = """() => {
    const painted = new Promise((resolve) => (window.bareResolve = resolve))
    window.gatescopeAnswer = Promise.all([window.gatescopeTiming.pressed(), painted])
}"""


@dataclass(frozen=True)
class Aim:
    """The largest milliseconds at p50 and p95."""

    p50: float
    p95: float


@dataclass(frozen=True)
class Watched:
    """A network of the benchmark."""

    name: str
    sizes: tuple[int, ...]
    counts: bool
    aim: Aim
    hold_aim: Aim | None = None


NETWORKS = (
    Watched("counter", (10,), True, Aim(25, 40), Aim(30, 50)),
    Watched("1 x 128", (128,), False, Aim(30, 50), Aim(60, 120)),
    Watched("3 x 512", (512, 512, 512), False, Aim(60, 120)),
)
FIRST_PICTURE_MS, FRAME_MS = 600, 8


def write_runs(folder: Path) -> None:
    """Write one run with random weights for each network."""
    corpus = folder / "corpus.txt"
    corpus.write_text("".join(map(chr, range(32, 127))) * 200, encoding="utf-8")
    for network in NETWORKS:
        task: Task = TASKS["counter"]() if network.counts else Text([corpus])
        configuration = configure(task.vocabulary, "lstm", network.sizes)
        run = create_run(folder / network.name, task, configuration, Settings(1))
        run.save_weights(Network(configuration).state_dict(), 0)


def text_of(network: Watched, steps: int) -> str:
    """Return a text of some characters: one long sequence of letters."""
    return "".join("aaaaXbbb"[k % 8] if network.counts else chr(97 + k * k % 26) for k in range(steps))


@contextmanager
def serving(directory: Path) -> Iterator[tuple[str, int]]:
    """Start the explorer; yield its address and its process."""
    command = [sys.executable, "-m", "gatescope", "explore", str(directory), "--port", "0", "--no-browser"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "200"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = next(word for line in process.stdout for word in line.split() if word.startswith("http://"))
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield address.rstrip("/."), process.pid
        finally:
            process.terminate()


def new_context(browser: Browser) -> BrowserContext:
    """Return a window without a cache, of which every page is watched."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(WATCH)
    return context


def open_text(page: Page, address: str, network: Watched, steps: int) -> float:
    """Open a text of a network; return the milliseconds from the navigation to its picture."""
    # A text that was not shown before, so that no cache has its trace.
    text = text_of(network, steps)
    page.goto(f"{address}/?{urlencode({'view': 'network', 'run': network.name, 'text': text})}")
    return page.evaluate("(steps) => window.gatescopeTiming.painted(steps)", steps)


def press(page: Page, steps: int) -> float:
    """Press a letter; return the milliseconds from its event to the picture of `steps` characters."""
    page.evaluate(
        "(steps) => { const t = window.gatescopeTiming;"
        " window.gatescopeAnswer = Promise.all([t.pressed(), t.painted(steps)]) }",
        steps,
    )
    return answered_key(page)


def answered_key(page: Page) -> float:
    """Press a letter; return the milliseconds from its event to the answer that the page awaits."""
    page.keyboard.press("a")
    pressed, painted = page.evaluate("() => window.gatescopeAnswer")
    page.wait_for_timeout(PAUSE_MS)
    return painted - pressed


def bare_keystrokes(page: Page, keys: int) -> list[float]:
    """Return the times of keys on a page without a network."""
    page.set_content(BARE_PAGE)
    page.get_by_test_id("text-box").fill(text_of(NETWORKS[0], STEPS))
    write_at(page, STEPS)
    times = []
    for _ in range(keys + 3):
        page.evaluate(BARE_ANSWER)
        times.append(answered_key(page))
    return times[3:]  # The first ones are compiled.


def write_at(page: Page, place: int) -> None:
    """Put the caret of the text box at a character."""
    box = page.get_by_test_id("text-box")
    box.focus()
    box.evaluate("(box, place) => box.setSelectionRange(place, place)", place)


def keystrokes(page: Page, address: str, network: Watched, keys: int) -> dict[str, list[float]]:
    """Return the times of keys at the end and in the middle of a text."""
    open_text(page, address, network, STEPS)
    page.wait_for_timeout(3000)  # The engine opens the network, and the check ends.
    times: dict[str, list[float]] = {}
    steps = STEPS
    for kind in ("append", "insert"):
        write_at(page, steps if kind == "append" else STEPS // 2)
        times[kind] = []
        for k in range(keys + 3):
            steps += 1
            time = press(page, steps)
            if k >= 3:  # The first ones are compiled.
                times[kind].append(time)
    return times


def holds(page: Page, address: str, network: Watched, keys: int) -> list[float]:
    """Return the times of keys on a slider, each of which moves the value of a held signal."""
    place = {"neuron": 1, "step": STEPS // 2, "signal": "c"}
    text = text_of(network, STEPS)
    page.goto(f"{address}/?{urlencode({'view': 'network', 'run': network.name, 'text': text, **place})}")
    page.wait_for_timeout(4000)  # The engine opens the network, and the check ends.
    slider = page.get_by_test_id("slider-c")
    slider.focus()
    times = []
    for k in range(keys + 3):
        page.evaluate(
            "() => { const t = window.gatescopeTiming; window.gatescopeAnswer = Promise.all([t.pressed(), t.held()]) }"
        )
        page.keyboard.press("ArrowRight" if k % 2 else "ArrowLeft")
        pressed, painted = page.evaluate("() => window.gatescopeAnswer")
        if k >= 3:  # The first ones are compiled.
            times.append(painted - pressed)
        page.wait_for_timeout(PAUSE_MS)
    return times


def continuations(page: Page, address: str, network: Watched, times: int) -> list[float]:
    """Return the times from a key to the picture of `WRITTEN` symbols behind a text, each with another seed."""
    text = text_of(network, STEPS)
    query = urlencode({"view": "network", "run": network.name, "text": text, "write": WRITTEN, "temperature": 1})
    page.goto(f"{address}/?{query}")
    page.wait_for_function(WRITES, arg=WRITTEN)
    page.get_by_test_id("write").click()
    measured = []
    for seed in range(1, times + 4):
        box = page.get_by_test_id("write-seed")
        box.fill(str(seed))
        page.evaluate(REWRITTEN)
        box.press("Enter")
        time = page.evaluate("() => window.gatescopeWritten")
        page.wait_for_timeout(PAUSE_MS)
        if seed > 3:  # The first ones are compiled.
            measured.append(time)
    return measured


def first_pictures(browser: Browser, address: str, network: Watched) -> list[float]:
    """Return the times from the navigation to the first picture, each in a page without a cache."""
    times = []
    for k in range(FIRST_PICTURES):
        context = new_context(browser)
        page = context.new_page()
        times.append(open_text(page, address, network, STEPS + k))
        context.close()
    return times


def task_times(events: list[dict[str, Any]]) -> list[float]:
    """Return the milliseconds of work on the main thread of the page between two frames, from the events of a trace."""
    main = {
        (event["pid"], event["tid"])
        for event in events
        if event.get("name") == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    frames = sorted(
        (event["ts"], event["pid"], event["tid"])
        for event in events
        if event.get("name") == "FireAnimationFrame" and (event["pid"], event["tid"]) in main
    )
    if not frames:
        sys.exit("Trace of the browser: expected frames, got none. Run the benchmark again.")
    threads = [(pid, tid) for _, pid, tid in frames]
    thread = max(set(threads), key=threads.count)
    starts = [start for start, pid, tid in frames if (pid, tid) == thread]
    tasks = sorted(
        (event["ts"], event["ts"] + event["dur"])
        for event in events
        if event.get("name") == "RunTask" and event.get("ph") == "X" and (event["pid"], event["tid"]) == thread
    )
    work: list[float] = []
    for begin, end in tasks:
        # A frame has one task, which runs all its callbacks: that of the strips and that of the script that scrolls.
        if any(begin <= start <= end for start in starts):
            work.append(0.0)
        if work:
            work[-1] += (end - begin) / 1000
    return work[1:-1]


def scrolled_frames(browser: Browser, page: Page, address: str, network: Watched) -> list[float]:
    """Return the milliseconds of work on the main thread for each frame in which a long text is scrolled."""
    open_text(page, address, network, LONG_STEPS)
    page.wait_for_timeout(5000)
    categories = ["devtools.timeline", "disabled-by-default-devtools.timeline", "toplevel", "__metadata"]
    session: CDPSession = browser.new_browser_cdp_session()
    events: list[dict[str, Any]] = []
    done = threading.Event()
    session.on("Tracing.dataCollected", lambda data: events.extend(data["value"]))
    session.on("Tracing.tracingComplete", lambda _: done.set())
    session.send("Tracing.start", {"categories": ",".join(categories), "transferMode": "ReportEvents"})
    page.evaluate(
        """async (frames) => {
            const scroller = document.querySelector('[data-testid=strips]')
            for (let k = 0; k < frames; k++) {
                scroller.scrollLeft += 97
                if (k % 4 === 0) scroller.scrollTop += 5
                await new Promise((resolve) => requestAnimationFrame(resolve))
            }
        }""",
        SCROLLED_FRAMES,
    )
    session.send("Tracing.end")
    end = monotonic() + 60
    while not done.is_set() and monotonic() < end:
        page.wait_for_timeout(100)
    session.detach()
    return task_times(events)


def processor_seconds(pids: set[int]) -> float:
    """Return the processor time of some processes so far."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> set[int]:
    """Return a process and all that it has started."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    members, waiting = set(), [pid]
    while waiting:
        members.add(waiting[-1])
        waiting.extend(children.get(waiting.pop(), []))
    return members


def memory_peak(pids: set[int]) -> dict[int, int]:
    """Return the largest resident bytes of each process so far."""
    peaks = {}
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            continue
        peaks[pid] = next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
    return peaks


def long_text(page: Page, address: str, network: Watched, server: int) -> list[str]:
    """Open 20,000 characters; return a line about the processor time, the memory and the wait."""
    page.goto(f"{address}/?{urlencode({'view': 'network', 'run': network.name, 'text': 'warm'})}")
    page.wait_for_timeout(3000)
    browser = family(os.getpid()) - family(server)
    before = processor_seconds({server}), processor_seconds(browser)
    began = monotonic()
    page.get_by_test_id("text-box").fill(text_of(network, LONG_STEPS))
    answered = page.wait_for_function(
        """(steps) => {
            const canvas = document.querySelector('[data-testid=strips-canvas]')
            const refusal = document.querySelector('[data-testid=error-note]')
            return Number(canvas?.dataset.steps) === steps ? 'drawn' : refusal && `refused: ${refusal.textContent}`
        }""",
        arg=LONG_STEPS,
        timeout=LONG_WAIT_MS,
    ).json_value()
    drawn = monotonic() - began
    drawn_cpu = processor_seconds({server}) - before[0], processor_seconds(browser) - before[1]
    idle = 0
    while idle < 5:  # the check ends when nobody computes any more
        seen = processor_seconds({server} | browser)
        sleep(1)
        page.evaluate("null")
        idle = idle + 1 if processor_seconds({server} | browser) - seen < 0.1 else 0
    checked_cpu = processor_seconds({server}) - before[0], processor_seconds(browser) - before[1]
    peaks = memory_peak({server} | browser)
    largest = max((peak for pid, peak in peaks.items() if pid != server), default=0)
    mib = 2**20
    drawn_text, checked_text = (f"{server:.1f} + {browser:.1f} s" for server, browser in (drawn_cpu, checked_cpu))
    return [
        f"20,000 characters of {network.name}: {answered} after {drawn:.1f} s.",
        f"Processor time of server + browser until then {drawn_text}, with the check {checked_text}.",
        f"Memory: server {peaks[server] / mib:.0f} MB, largest process of the browser {largest / mib:.0f} MB.",
    ]


def p50_p95(times: list[float]) -> tuple[float, float]:
    """Return the median and the 95th percentile."""
    cuts = quantiles(times, n=20, method="inclusive")
    return cuts[9], cuts[18]


def line(what: str, times: list[float], aim: Aim | None) -> str:
    """Return a line of the table."""
    p50, p95 = p50_p95(times)
    reached = "" if aim is None else "yes" if p50 <= aim.p50 and p95 <= aim.p95 else "NO"
    limits = "" if aim is None else f"{aim.p50:g} / {aim.p95:g} {reached}"
    load = os.getloadavg()[0]
    return f"| {what} | {len(times)} | {p50:.1f} | {p95:.1f} | {limits} | {load:.1f} |"


def measure(browser: Browser, address: str, server: int, arguments: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the table, as they are measured."""
    context = new_context(browser)
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    yield "| what | times | p50, ms | p95, ms | aim | load |"
    yield "|---|---:|---:|---:|---|---:|"
    page.goto("about:blank")
    yield line("a bare page, append a letter", bare_keystrokes(page, arguments.keys), None)
    for network in NETWORKS:
        if network.name not in arguments.networks:
            continue
        for kind, times in keystrokes(page, address, network, arguments.keys).items():
            yield line(f"{network.name}, {kind} a letter", times, network.aim if kind == "append" else None)
        yield line(f"{network.name}, hold a signal", holds(page, address, network, arguments.keys), network.hold_aim)
        if not network.counts:
            times = continuations(page, address, network, arguments.keys)
            aim = Aim(CONTINUATION_MS, CONTINUATION_MS) if network.sizes == (128,) else None
            yield line(f"{network.name}, {WRITTEN} symbols written", times, aim)
        aim = Aim(FIRST_PICTURE_MS, FIRST_PICTURE_MS)
        yield line(f"{network.name}, first picture", first_pictures(browser, address, network), aim)
    if arguments.scroll:
        network = NETWORKS[1]
        frames = scrolled_frames(browser, page, address, network)
        yield line(f"{network.name}, work of a scrolled frame", frames, Aim(FRAME_MS, FRAME_MS))
    if arguments.long:
        yield ""
        yield from long_text(page, address, NETWORKS[2], server)
    context.close()


def main() -> None:
    """Measure, print, and write the results if --write is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [network.name for network in NETWORKS]
    parser.add_argument("--networks", nargs="*", default=names, choices=names)
    parser.add_argument("--keys", type=int, default=60, help="keys of each kind")
    parser.add_argument("--scroll", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--long", action="store_true", help="open 20,000 characters of 3 x 512 neurons")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS}")
    arguments = parser.parse_args()
    executable = next(filter(None, map(shutil.which, BROWSERS)))
    lines: list[str] = []
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        write_runs(Path(name))
        options = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=executable, args=options)
        with serving(Path(name)) as (address, server):
            for row in measure(browser, address, server, arguments):
                lines.append(row)
                print(row, flush=True)
        browser.close()
    assert __doc__ is not None
    about = [machine(), "", f"Load averages at the start: {load}; the column has the load after each line."]
    text = ["# From a key to the strips", "", *about, "", __doc__.rpartition("\n\n")[2].strip(), "", *lines]
    if arguments.write:
        RESULTS.write_text("\n".join(text) + "\n", encoding="utf-8")
    print("\n".join(about))


if __name__ == "__main__":
    main()
