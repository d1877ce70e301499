import { describe, expect, it } from 'vitest'
import { EngineClient } from '../../src/data/engine-client'
import { EngineNetworks, type NetworkId } from '../../src/data/engine-networks'
import type { TraceRequest } from '../../src/data/source'
import { traceBytes } from './trace-bytes'
import { FakeWorker, kernels } from './fake-worker'

const MEGABYTE = 1 << 20
const id = (run: string, stamp = '1', checkpoint: number | null = null): NetworkId => ({ run, stamp, checkpoint })
const request: TraceRequest = {
  text: 'a',
  layer: 'layer0',
  signals: [],
  neurons: null,
  drives: false,
  top: 1,
  checkpoint: null,
}

function networks(bytes = 8): { worker: FakeWorker; loads: NetworkId[]; open: EngineNetworks } {
  const worker = new FakeWorker()
  const loads: NetworkId[] = []
  const open = new EngineNetworks(new EngineClient(() => worker, kernels), (id) => {
    loads.push(id)
    return Promise.resolve({ network: { of: id.run }, weights: new ArrayBuffer(bytes) })
  })
  return { worker, loads, open }
}

describe('the networks of the engine', () => {
  it('are loaded and opened once, however many requests wait for them', async () => {
    const { worker, loads, open } = networks()
    expect(open.isOpen(id('a'))).toBe(false)
    await Promise.all([open.open(id('a')), open.open(id('a')), open.open(id('b'))])
    expect(loads.map(({ run }) => run)).toEqual(['a', 'b'])
    expect(worker.sent('open').map(({ network }) => network)).toEqual([{ of: 'a' }, { of: 'b' }])
    expect([id('a'), id('b'), id('c')].map((id) => open.isOpen(id))).toEqual([true, true, false])
  })

  it('are opened again when the weights have changed, and the former ones are closed', async () => {
    const { worker, loads, open } = networks()
    for (const stamp of ['1', '2', '2']) await open.open(id('a', stamp))
    expect(loads.map(({ stamp }) => stamp)).toEqual(['1', '2'])
    const [first] = worker.sent('open')
    expect(worker.sent('close').map(({ run }) => run)).toEqual([first!['run']])
    expect(open.isOpen(id('a', '1'))).toBe(false)
  })

  it('keep the best weights open beside a checkpoint', async () => {
    const { worker, open } = networks()
    for (const network of [id('a'), id('a', '', 3), id('a', '', 6), id('b')]) await open.open(network)
    expect(worker.sent('close')).toEqual([])
    expect(new Set(worker.sent('open').map(({ run }) => run)).size).toBe(4)
  })

  it('are closed from the least recently used on, when all together are too large', async () => {
    const { open } = networks(20 * MEGABYTE)
    for (const run of ['a', 'b', 'c']) await open.open(id(run))
    await open.open(id('a'))
    await open.open(id('d'))
    expect(['a', 'b', 'c', 'd'].map((run) => open.isOpen(id(run)))).toEqual([true, false, true, true])
  })

  it('that are refused are not loaded again, those that did not arrive are', async () => {
    const { worker, loads, open } = networks()
    worker.replies.set('open', () => new Error('CELL_INVALID'))
    for (let k = 0; k < 2; k++) await expect(open.open(id('a'))).rejects.toMatchObject({ code: 'CELL_INVALID' })
    expect(loads).toHaveLength(1)
    expect(open.isOpen(id('a'))).toBe(false)
    let attempts = 0
    const failing = new EngineNetworks(open.engine, () => Promise.reject(new Error(`attempt ${++attempts}`)))
    for (const attempt of ['attempt 1', 'attempt 2']) await expect(failing.open(id('b'))).rejects.toThrow(attempt)
  })

  it('are opened later if the kernels arrive later', async () => {
    const worker = new FakeWorker()
    let attempts = 0
    const engine = new EngineClient(
      () => worker,
      () => (attempts++ ? kernels() : Promise.reject(new TypeError('failed to fetch'))),
    )
    const later = new EngineNetworks(engine, () => Promise.resolve({ network: {}, weights: new ArrayBuffer(8) }))
    await expect(later.open(id('a'))).rejects.toMatchObject({ code: 'ENGINE_STOPPED' })
    await later.open(id('a'))
    expect(later.isOpen(id('a'))).toBe(true)
  })

  it('know the text that was recorded last', async () => {
    const { worker, open } = networks()
    await open.open(id('a'))
    expect(open.recorded(id('a'))).toBeNull()
    worker.replies.set('trace', () => traceBytes('browser-native'))
    await open.trace(id('a'), { ...request, text: 'x' })
    worker.replies.set('trace', () => new Error('TEXT_TOO_LONG'))
    await open.trace(id('a'), { ...request, text: 'y' }).catch(() => null)
    expect(open.recorded(id('a'))).toBe('x')
  })
})
