"""Training in a real browser: the worker of the page learns the counter, and Python scores its weights alike."""

import base64
from collections.abc import Callable
from functools import partial
from pathlib import Path

from playwright.sync_api import Page
from safetensors.torch import load

from gatescope import TASKS, Network
from gatescope.network import predict
from gatescope.training import bundle, recommended_network

TRAIN = """async ({ bundle, seed }) => {
    const worker = new Worker('worker.js')
    const waiting = new Map()
    worker.onmessage = ({ data }) => waiting.get(data.id)(data)
    let id = 0
    const ask = async (call) => {
        const reply = await new Promise((resolve) => {
            waiting.set(id, resolve)
            worker.postMessage({ id: id++, ...call })
        })
        if (!reply.ok) throw new Error(`${reply.code} ${JSON.stringify(reply.values)}`)
        return reply.value
    }
    const bytes = async (name) => (await fetch(name)).arrayBuffer()
    await ask({ call: 'kernels', plain: await bytes('kernels.wasm'), relaxed: await bytes('kernels-relaxed.wasm') })
    const train = (request) => ask({ call: 'train', run: 'play', request })
    let progress = await train({ action: 'start', bundle, seed })
    const entries = []
    while (progress.ended === null) {
        progress = await train({ action: 'advance', milliseconds: 50 })
        entries.push(...progress.entries)
    }
    const weights = new Uint8Array(await train({ action: 'weights', step: 'best' }))
    worker.terminate()
    const text = Array.from(weights, (byte) => String.fromCharCode(byte)).join('')
    return { ended: progress.ended, best: progress.best, engine: progress.engine, entries, weights: btoa(text) }
}"""


def test_counter_is_learned_in_the_browser(page: Page, start_server: Callable[[Path], str], tmp_path: Path) -> None:
    page.goto(start_server(tmp_path))
    task = TASKS["counter"]()
    result = page.evaluate(TRAIN, {"bundle": bundle(task), "seed": 1})
    assert result["ended"] == "solved"
    assert result["engine"].startswith("browser-native")
    best = next(entry for entry in result["entries"] if entry["step"] == result["best"])
    network = Network(recommended_network(task), seed=None)
    network.load_state_dict(load(base64.b64decode(result["weights"])))
    score = task.score(partial(predict, network))
    assert score.solved
    assert best["score"]["value"] == score.value == 1
    assert best["score"]["firstFailure"] == score.details["first_failure"]
    assert abs(best["validationLoss"] - task.validation(partial(predict, network))) < 1e-5
