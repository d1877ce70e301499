import { describe, expect, it, vi } from 'vitest'
import { writeTensors } from '../../engine/tensors'
import { EngineClient } from '../../src/data/engine-client'
import { LIVE_FORMAT, LiveFile, type LiveRun } from '../../src/data/live-data'
import { LocalSource } from '../../src/data/local-source'
import { SourceError, type TraceRequest, UnavailableError } from '../../src/data/source'
import type { StudyRequest } from '../../src/data/study'
import { text } from '../../src/messages/text'
import { FakeWorker, kernels, settled } from './fake-worker'
import { traceBytes } from './trace-bytes'

const tracks = writeTensors({
  metadata: {
    features: '[{"name": "quote"}, {"name": "depth"}]',
    found:
      '[{"name": "quote", "title": "in quotes", "kind": "binary"}, {"name": "depth", "title": "d", "kind": "count"}]',
  },
  tensors: new Map([
    ['0', { shape: [2], data: Uint8Array.of(0, 1) }],
    ['1', { shape: [2], data: Float32Array.of(3, 4) }],
  ]),
})

const neuron = { study: 'neuron' as const, layer: 'layer0', signal: 'h', neuron: 1 }

function stored(name: string): LiveRun {
  const layers = [{ name: 'layer0', neurons: 4, reverse: false, stacked: false, cell: { name: 'lstm', title: 'LSTM' } }]
  return {
    run: { name, layers, examples: ['ab'], checkpoints: [10] },
    network: { format: 3, of: name },
    weights: 0,
    checkpoints: [{ step: 10, weights: 1 }],
    studies: [
      { request: { study: 'labels' }, result: 'labels of the run', stale: true },
      { request: neuron, result: 'neuron 1', stale: false },
    ],
    features: [{ text: 'ab', tracks: 2 }],
    targets: [{ text: 'ab', target: [1, -1] }],
    task: {},
    training: {},
  } as unknown as LiveRun
}

/** A live file of two runs: its weights are 3 and 5 bytes. */
function live(runs = [stored('a'), stored('b')]): { source: LocalSource; worker: FakeWorker } {
  const parts = [new ArrayBuffer(3), new ArrayBuffer(5), tracks]
  let end = 0
  const places = parts.map(({ byteLength }): [number, number] => [(end += byteLength) - byteLength, byteLength])
  const json = new TextEncoder().encode(JSON.stringify({ format: LIVE_FORMAT, version: '1.2', runs, parts: places }))
  const bytes = new Uint8Array(8 + json.length + end)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true)
  bytes.set(json, 8)
  parts.forEach((part, k) => bytes.set(new Uint8Array(part), 8 + json.length + places[k]![0]))
  const worker = new FakeWorker()
  worker.replies.set('trace', () => traceBytes('browser-native'))
  return { source: new LocalSource(new EngineClient(() => worker, kernels), LiveFile.read(bytes.buffer)), worker }
}

const request: TraceRequest = {
  text: 'ab',
  layer: 'layer0',
  signals: [],
  neurons: null,
  drives: false,
  top: 1,
  checkpoint: null,
}

const failure = async (request: Promise<unknown>): Promise<SourceError> => {
  const error: unknown = await request.catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(SourceError)
  return error as SourceError
}

describe('the source of a live file', () => {
  it('lists its runs once, as the server lists them', () => {
    const report = vi.fn()
    live().source.follow(report)()
    expect(report).toHaveBeenCalledOnce()
    const [list] = report.mock.calls[0]!
    expect(list.version).toBe('1.2')
    expect(list.runs.map(({ name }: { name: string }) => name)).toEqual(['a', 'b'])
    expect(list.runs[0].layers).toEqual([{ cell: 'lstm', neurons: 4, reverse: false, stacked: false }])
  })

  it('describes a run, and no other', async () => {
    const { source } = live()
    expect((await source.run('b')).layers[0]!.cell.title).toBe('LSTM')
    expect((await failure(source.run('c'))).problem).toBe(text('RUN_UNKNOWN', { name: 'c' }))
  })

  it('computes traces with the weights of the run or of a checkpoint, opened once', async () => {
    const { source, worker } = live()
    source.prepare('b')
    for (const checkpoint of [null, null, 10])
      expect((await source.trace('b', { ...request, checkpoint })).engine).toBe('browser-native')
    const opened = worker.sent('open')
    expect(opened.map(({ weights }) => (weights as ArrayBuffer).byteLength)).toEqual([3, 5])
    expect(opened[0]).toMatchObject({ network: { of: 'b' }, targets: [{ text: 'ab', target: [1, -1] }] })
    const [first, second] = opened.map(({ run }) => run)
    expect(worker.sent('trace').map(({ run }) => run)).toEqual([first, first, second])
    expect((await failure(source.trace('b', { ...request, checkpoint: 11 }))).problem).toBe(
      text('LIVE_WEIGHTS_MISSING', { run: 'b' }),
    )
  })

  it('computes without kernels, too', async () => {
    const { source, worker } = live()
    worker.replies.set('kernels', () => new Error('KERNELS_UNSUPPORTED'))
    expect((await source.trace('a', request)).engine).toBe('browser-native')
  })

  it('says in a sentence what the engine refuses', async () => {
    const { source, worker } = live()
    worker.replies.set('trace', () => new Error('KERNELS_LAYER_TOO_LARGE'))
    expect((await failure(source.trace('a', request))).problem).toBe(text('KERNELS_LAYER_TOO_LARGE'))
    worker.replies.set('trace', () => new Error('NEW_CODE'))
    expect((await failure(source.trace('a', request))).problem).toBe(text('ENGINE_REFUSED', { code: 'NEW_CODE' }))
    expect((await failure(source.trace('a', request))).lost).toBe(false)
  })

  it('has the tables that were stored, whatever features a request names', async () => {
    const { source } = live()
    expect(await source.study('a', { study: 'labels' })).toEqual({
      state: 'done',
      stale: true,
      result: 'labels of the run',
    })
    const answer = await source.study('a', { ...neuron, features: ['quote'] })
    expect(answer).toEqual({ state: 'done', stale: false, result: 'neuron 1' })
  })

  it.each<[StudyRequest, string]>([
    [{ study: 'ablation' }, 'gatescope ablate runs/a'],
    [{ study: 'health' }, 'gatescope health runs/a'],
    [{ ...neuron, neuron: 2 }, 'gatescope explore runs/a'],
    [{ ...neuron, signal: 'c' }, 'gatescope explore runs/a'],
    [{ ...neuron, layer: 'layer1' }, 'gatescope explore runs/a'],
    [{ study: 'places', text: 'ab', first: 0, last: 1 }, 'gatescope explore runs/a'],
  ])('names the command for a study that it does not have: %j', async (request, command) => {
    expect(await live().source.study('a', request)).toEqual({
      state: 'unavailable',
      problem: text('LIVE_NOT_COMPUTED', { command }),
    })
  })

  it.each([
    ['my run', "'runs/my run'"],
    ['$(rm x) "`', `'runs/$(rm x) "\`'`],
    ["it's", `'runs/it'\\''s'`],
  ])('quotes the name of a run where the shell needs it: %s', async (name, quoted) => {
    const { source } = live([stored(name)])
    const answer = await source.study(name, { study: 'ablation' })
    expect(answer).toEqual({
      state: 'unavailable',
      problem: text('LIVE_NOT_COMPUTED', { command: `gatescope ablate ${quoted}` }),
    })
  })

  it('has the features of the examples by name', async () => {
    const { source } = live()
    const { features, tracks } = await source.features('a', 'ab', ['depth', 'other', 'quote'])
    expect(features.map(({ name }) => name)).toEqual(['quote', 'depth'])
    expect(tracks.map((track) => track && [...track.values])).toEqual([[3, 4], null, [0, 1]])
    expect(await failure(source.features('a', 'abc', []))).toBeInstanceOf(UnavailableError)
  })

  it('passes requests about gradients on to the engine, until it knows none', async () => {
    const { source, worker } = live()
    worker.replies.set('gradients', () => new ArrayBuffer(7))
    const about = { text: 'ab', layer: 'layer0', checkpoint: 10 }
    expect((await source.arrays('a', 'gradients', about)).byteLength).toBe(7)
    const [sent] = worker.sent('gradients')
    expect(sent!['request']).toEqual(about)
    expect(sent!['run']).toBe(worker.sent('open')[0]!['run'])
    expect(worker.sent('open').map(({ weights }) => (weights as ArrayBuffer).byteLength)).toEqual([5])
    for (const call of ['chain', 'connections', 'weightPaths'])
      worker.replies.set(call, () => new Error('CALL_UNKNOWN'))
    const sentence = text('LIVE_NOT_COMPUTED', { command: 'gatescope explore runs/a' })
    const paths = source.weightPaths('a', about)
    for (const answer of [source.chain('a', about), source.arrays('a', 'connections', about), paths]) {
      const error = await failure(answer)
      expect([error instanceof UnavailableError, error.problem]).toEqual([true, sentence])
    }
    await settled()
  })
})
