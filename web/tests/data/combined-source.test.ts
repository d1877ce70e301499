import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  CombinedSource,
  MAX_LOCAL_VALUES,
  MAX_LOCAL_WEIGHTS_BYTES,
  MAX_QUICK_PRODUCTS,
  MAX_TRAINING_WEIGHTS_BYTES,
} from '../../src/data/combined-source'
import { EngineClient } from '../../src/data/engine-client'
import { EngineNetworks } from '../../src/data/engine-networks'
import { HttpSource } from '../../src/data/http-source'
import type { Run, Summary } from '../../src/data/run'
import { type RunList, SourceError, type TraceRequest } from '../../src/data/source'
import { Trace } from '../../src/data/trace'
import { type Code, text } from '../../src/messages/text'
import { FakeWorker, kernels, settled } from './fake-worker'
import { traceBytes } from './trace-bytes'

const request: TraceRequest = {
  text: 'ab',
  layer: 'layer0',
  signals: ['h'],
  neurons: null,
  drives: false,
  top: 3,
  checkpoint: null,
}
/** How many steps of the largest weights are quick. */
const QUICK_STEPS = MAX_QUICK_PRODUCTS / (MAX_LOCAL_WEIGHTS_BYTES / 4)
const layer = { neurons: 4, signals: [{ name: 'h' }], drives: [{ name: 'x.h' }, { name: 'u.h' }] }
const symbols = { kind: 'symbols', names: [], quantiles: [], reads: 'every step' }

function described(change: object = {}): Run {
  const run = { state: 'finished', layers: [layer], readout: symbols, weights_bytes: 100, weights_stamp: '1' }
  return { name: 'run', ...run, ...change } as unknown as Run
}

/** A page whose server answers `run`, and whose worker answers every trace; `paths` lists the requests. */
function page(run = described()) {
  const paths: string[] = []
  let report: (list: RunList) => void = () => undefined
  vi.stubGlobal('fetch', (path: string) => {
    paths.push(path.replace('/api/runs/run', ''))
    if (path.endsWith('/trace')) return Promise.resolve(new Response(traceBytes('native')))
    if (path.includes('/weights')) return Promise.resolve(new Response(new Uint8Array(8)))
    return Promise.resolve(Response.json(path.endsWith('/network') ? { format: 3 } : run))
  })
  vi.stubGlobal('document', { hidden: false, addEventListener: vi.fn(), removeEventListener: vi.fn() })
  class Events {
    addEventListener(_: string, listener: (event: { data: string }) => void): void {
      report = (list) => listener({ data: JSON.stringify(list) })
    }
    close(): void {
      report = () => undefined
    }
  }
  vi.stubGlobal('EventSource', Events)
  const worker = new FakeWorker()
  worker.replies.set('trace', () => traceBytes('browser-native'))
  const server = new HttpSource()
  const networks = new EngineNetworks(new EngineClient(() => worker, kernels), async ({ run, checkpoint }) => ({
    network: await server.network(run),
    weights: await server.weights(run, checkpoint),
  }))
  const source = new CombinedSource(server, networks)
  source.follow(() => undefined)
  /** Open the page of the run, and wait until the engine has its network, or has refused it. */
  const open = async (): Promise<void> => {
    await source.run('run')
    source.prepare('run')
    for (let k = 0; k < 5; k++) await new Promise((done) => setTimeout(done))
  }
  const engine = async (change: Partial<TraceRequest> = {}): Promise<string> =>
    (await source.trace('run', { ...request, ...change })).engine
  const list = (summary: object): void => report({ version: '', runs: [{ ...run, ...summary } as unknown as Summary] })
  return { source, worker, paths, open, engine, list }
}

afterEach(() => vi.unstubAllGlobals())

describe('the source of the served page', () => {
  it('lets the server answer until the engine has the network, and then asks it no more', async () => {
    const { source, paths, open, engine } = page()
    await source.run('run')
    source.prepare('run')
    expect(await engine()).toBe('native')
    await open()
    paths.length = 0
    for (const text of ['a', 'ab', 'abc']) expect(await engine({ text })).toBe('browser-native')
    expect(paths).toEqual([])
  })

  it('passes the request on to the engine as it is', async () => {
    const { worker, open, engine } = page()
    await open()
    await engine({ text: 'σ\ud800', neurons: [2], drives: true })
    const [sent] = worker.sent('trace')
    expect(sent!['request']).toEqual({ ...request, text: 'σ\ud800', neurons: [2], drives: true })
    expect(sent!['run']).toBe(worker.sent('open')[0]!['run'])
  })

  it('loads no weights of runs that are only listed', async () => {
    const { source, paths, engine } = page()
    await source.run('run')
    for (let k = 0; k < 3; k++) expect(await engine()).toBe('native')
    await settled()
    expect(paths.filter((path) => path.includes('weights'))).toEqual([])
  })

  it('loads new weights once, and lets the server answer until they are open', async () => {
    const { worker, paths, open, engine, list } = page()
    await open()
    list({ weights_stamp: '2' })
    expect(await engine()).toBe('native')
    for (let k = 0; k < 5; k++) await new Promise((done) => setTimeout(done))
    expect(await engine()).toBe('browser-native')
    list({ weights_stamp: '2', step: 9 })
    expect(await engine()).toBe('browser-native')
    expect(paths.filter((path) => path === '/weights')).toHaveLength(2)
    expect(worker.sent('open')).toHaveLength(2)
  })

  it('lets the server answer what the engine refuses, and asks the engine again for the next text', async () => {
    const { worker, open, engine } = page()
    await open()
    worker.replies.set('trace', () => new Error('TEXT_TOO_LONG'))
    expect(await engine()).toBe('native')
    worker.replies.set('trace', () => traceBytes('browser-native'))
    expect(await engine()).toBe('browser-native')
    worker.replies.set('trace', () => new ArrayBuffer(3))
    expect(await engine()).toBe('native')
  })

  it('lets the server answer if the engine refuses the network, which is loaded once', async () => {
    const { worker, paths, open, engine } = page()
    worker.replies.set('open', () => new Error('NETWORK_INVALID'))
    await open()
    for (let k = 0; k < 3; k++) expect(await engine()).toBe('native')
    expect(paths.filter((path) => path === '/weights')).toHaveLength(1)
  })

  it('lets the server answer if WebAssembly or the worker fails', async () => {
    const forbidden = page()
    forbidden.worker.replies.set('kernels', () => new Error('KERNELS_NOT_COMPILED'))
    await forbidden.open()
    expect(await forbidden.engine()).toBe('native')
    const stopped = page()
    await stopped.open()
    expect(await stopped.engine()).toBe('browser-native')
    stopped.worker.replies.delete('trace')
    const waiting = stopped.engine()
    await settled()
    stopped.worker.emit('error', { message: 'out of memory' })
    expect(await waiting).toBe('native')
    expect(await stopped.engine()).toBe('native')
  })

  it('computes every checkpoint with its own weights', async () => {
    const { worker, paths, open, engine } = page()
    await open()
    for (let k = 0; k < 2; k++) {
      await engine({ checkpoint: 30 })
      for (let turn = 0; turn < 5; turn++) await new Promise((done) => setTimeout(done))
    }
    expect(paths).toContain('/weights?checkpoint=30')
    const opened = worker.sent('open').map(({ run }) => run)
    // The text that the server answered is recorded as soon as the network is open.
    expect(worker.sent('trace').map(({ run }) => run)).toEqual([opened[1], opened[1]])
  })

  it.each([
    ['targets that only the task knows', { readout: { ...symbols, kind: 'classes', names: ['a'] } }, {}],
    ['large weights', { weights_bytes: MAX_LOCAL_WEIGHTS_BYTES + 1 }, {}],
    ['large weights in training', { weights_bytes: MAX_TRAINING_WEIGHTS_BYTES + 1, state: 'training' }, {}],
    ['no weights', { weights_stamp: null }, {}],
    ['a long text', {}, { text: 'a'.repeat(MAX_LOCAL_VALUES / 4 + 1) }],
  ])('leaves to the server: %s', async (_, change, traced) => {
    const { open, engine } = page(described(change))
    await open()
    expect(await engine(traced)).toBe('native')
  })

  it('lets the server answer what costs the engine more, until the engine has recorded it', async () => {
    const { worker, open, engine } = page(described({ weights_bytes: MAX_LOCAL_WEIGHTS_BYTES }))
    await open()
    expect(await engine({ text: 'a'.repeat(QUICK_STEPS) })).toBe('browser-native')
    expect(await engine({ text: `b${'a'.repeat(QUICK_STEPS - 1)}` })).toBe('browser-native')
    worker.replies.delete('trace')
    const long = 'c'.repeat(QUICK_STEPS + 1)
    expect(await engine({ text: long })).toBe('native')
    await settled()
    const recording = worker.sent('trace').at(-1)!
    expect(recording['request']).toMatchObject({ text: long, layer: 'layer0', signals: [], neurons: [] })
    expect(await engine({ text: `${long}d` }), 'it is still recording').toBe('native')
    expect(worker.sent('trace').at(-1)).toBe(recording)
    worker.replies.set('trace', () => traceBytes('browser-native'))
    worker.answer(recording.id, traceBytes('browser-native'))
    await settled()
    expect(await engine({ text: `${long}de` })).toBe('browser-native')
    expect(await engine({ text: `e${long}` })).toBe('native')
  })

  it('checks a text where its trace was computed, without the holds', async () => {
    const { source, worker, paths, open } = page()
    await open()
    const holds = [{ layer: 'layer0', neuron: 1, signal: 'h', value: 0, first: 0, last: null }]
    worker.replies.set('check', () => ({ residual: 1e-7, tolerance: 1e-5, steps: 2 }))
    const ours = await source.trace('run', request)
    expect(await source.check('run', { ...request, holds }, ours)).toMatchObject({ residual: 1e-7 })
    expect(paths).not.toContain('/check')
    worker.replies.set('check', () => ({ residual: 0.1, tolerance: 1e-5, steps: 2 }))
    const failed: unknown = await source.check('run', request, ours).catch((error: unknown) => error)
    expect(failed).toMatchObject({ code: 'CHECK_FAILED' })
    const theirs = Trace.read(traceBytes('native'))
    await source.check('run', { ...request, holds }, theirs)
    expect(paths.at(-1)).toBe('/check')
  })

  it('gives up a request in the engine, and asks nobody else', async () => {
    const { source, worker, paths, open } = page()
    await open()
    worker.replies.delete('trace')
    const giving = new AbortController()
    const answer = source.trace('run', request, { signal: giving.signal }).catch((error: unknown) => error)
    await settled()
    giving.abort()
    expect(await answer).toMatchObject({ name: 'AbortError' })
    expect(worker.messages.at(-1)).toEqual({ cancel: worker.sent('trace')[0]!.id })
    expect(paths).not.toContain('/trace')
  })

  it('computes gradients in the engine, or else by the server', async () => {
    const { source, worker, paths, open } = page()
    await open()
    const about = { text: 'ab', layer: 'layer0', checkpoint: null }
    worker.replies.set('gradients', () => new ArrayBuffer(7))
    expect((await source.arrays('run', 'gradients', about)).byteLength).toBe(7)
    expect(worker.sent('gradients')[0]!['request']).toEqual(about)
    worker.replies.set('chain', () => new Error('GRADIENTS_TOO_LARGE'))
    expect(await source.chain('run', about)).toMatchObject({ name: 'run' })
    expect(paths.filter((path) => /gradients|chain/.test(path))).toEqual(['/chain'])
  })

  it('expects a layer that reads from the end to compute every step again', async () => {
    const both = [layer, { ...layer, reverse: true }]
    const { open, engine } = page(described({ layers: both, weights_bytes: MAX_LOCAL_WEIGHTS_BYTES }))
    await open()
    for (const [steps, expected] of [
      [QUICK_STEPS, 'browser-native'],
      [QUICK_STEPS + 1, 'native'],
      [QUICK_STEPS + 2, 'native'],
    ] as const)
      // prettier-ignore
      expect(await engine({ text: 'a'.repeat(steps) })).toBe(expected)
  })

  it('leaves to the engine what is just small enough', async () => {
    const { open, engine } = page(described({ weights_bytes: 16 }))
    await open()
    expect(await engine({ text: 'a'.repeat(MAX_LOCAL_VALUES / 4) })).toBe('browser-native')
    const large = page(described({ weights_bytes: MAX_LOCAL_WEIGHTS_BYTES }))
    await large.open()
    expect(await large.engine({ text: 'a' })).toBe('browser-native')
  })

  it('lets the engine alone answer requests with holds, and opens its network for them', async () => {
    const { source, paths, worker, engine } = page()
    await source.run('run')
    const holds = [{ layer: 'layer0', neuron: 1, signal: 'h', value: 0, first: 0, last: null }]
    for (const chosen of [holds, []]) expect(await engine({ holds: chosen })).toBe('browser-native')
    expect(worker.sent('trace').map(({ request }) => (request as TraceRequest).holds)).toEqual([holds, []])
    expect(paths).not.toContain('/trace')
    worker.replies.set('write', () => 'bbb')
    const write = { text: 'ab', length: 3, temperature: 0, seed: 0, holds, checkpoint: null }
    expect(await source.continuation('run', write)).toBe('bbb')
  })

  it('gives the engine the targets of classes that the server knows, once for each text', async () => {
    const { source, worker, paths, engine } = page(described({ readout: { ...symbols, kind: 'classes' } }))
    worker.replies.set('targets', () => null)
    await source.run('run')
    for (const text of ['ab', 'ab', 'abc']) expect(await engine({ text, holds: [] })).toBe('browser-native')
    expect(paths.filter((path) => path === '/trace')).toHaveLength(2)
    expect(
      worker.sent('targets').map(({ request }) => (request as { targets: { text: string }[] }).targets[0]!.text),
    ).toEqual(['ab', 'abc'])
    // Without holds, the server answers.
    expect(await engine()).toBe('native')
  })

  it('says why nobody answers a request with holds', async () => {
    const reasons: [object, Partial<TraceRequest>, Code][] = [
      [{ weights_bytes: MAX_LOCAL_WEIGHTS_BYTES + 1 }, {}, 'ENGINE_ONLY_TOO_LARGE'],
      [{}, { text: 'a'.repeat(MAX_LOCAL_VALUES) }, 'ENGINE_ONLY_TOO_LARGE'],
    ]
    for (const [change, traced, code] of reasons) {
      const { source, engine } = page(described(change))
      await source.run('run')
      await expect(engine({ ...traced, holds: [] })).rejects.toThrow(new SourceError(text(code)))
    }
    const { source, worker, engine } = page()
    await source.run('run')
    worker.replies.set('trace', () => new Error('TEXT_TOO_LONG'))
    await expect(engine({ holds: [] })).rejects.toBeInstanceOf(SourceError)
  })
})
