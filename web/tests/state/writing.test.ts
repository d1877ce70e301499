// What Stop keeps of a continuation that is being written.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Progress, Source, Waiting } from '../../src/data/source'
import { START, type ViewState } from '../../src/data/view'
import type { Continuation } from '../../src/model/continuation'
import { Writing } from '../../src/state/writing.svelte'

vi.mock('../../src/model/continuation', async (original) => ({
  ...(await original<object>()),
  // The answers of the source of this test are read already.
  readContinuation: (answer: Continuation) => answer,
}))

/** A call of the source, which a test answers. */
interface SentRequest {
  length: number
  holds: readonly object[]
  waiting: Waiting
  answer: (symbols: number) => Promise<void>
}

const written = (symbols: number): Continuation =>
  ({ text: 'x'.repeat(symbols), trace: { steps: symbols, token: new Int32Array(symbols) }, next: 0 }) as Continuation

let requests: SentRequest[]
let unfollow: () => void
let writing: Writing
let explorer: { state: ViewState }

function begin(length: number, holds: readonly object[] = []): void {
  requests = []
  const source = {
    continuation: (_: string, request: SentRequest, waiting: Waiting) =>
      new Promise((resolve, reject) => {
        waiting.signal?.addEventListener('abort', () => reject(new Error('given up')))
        const answer = async (symbols: number): Promise<void> => {
          resolve(written(symbols))
          await vi.advanceTimersByTimeAsync(0)
        }
        requests.push({ length: request.length, holds: request.holds, waiting, answer })
      }),
  } as unknown as Source
  const run = { name: 'counter', readout: { kind: 'symbols', reads: 'every step' }, layers: [], unit: 'character' }
  const layer = { name: 'layer0', neurons: 2, signals: [{ name: 'c' }] }
  const picture = { text: 'ab', run, layer, trace: { steps: 2 } }
  explorer = {
    source,
    run,
    picture,
    shownSignal: layer.signals[0],
    text: 'ab',
    hasWeights: true,
    loader: { holds, checkpoint: null },
    state: { ...START, view: 'network', run: 'counter', write: length },
    go: (change: Partial<ViewState>) => {
      Object.assign(explorer.state, change)
      queueMicrotask(follow)
    },
  } as unknown as { state: ViewState }
  writing = new Writing(source, explorer as never)
  unfollow = writing.follow()
}

/** Follow what changed, as the effect of the page does. */
function follow(): void {
  unfollow()
  unfollow = writing.follow()
}

/** Let timers and answers pass. */
const settle = async (): Promise<void> => void (await vi.advanceTimersByTimeAsync(500))
const report = (progress: Progress): void => requests[0]!.waiting.onProgress!(progress)

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  unfollow()
  vi.useRealTimers()
})

describe('Stop', () => {
  it('keeps what is written, with its length, and does not write it again', async () => {
    begin(100)
    await settle()
    report({ done: 7, total: 100 })
    writing.stop()
    expect(requests[0]!.waiting.enough!.aborted).toBe(true)
    expect(requests[0]!.waiting.signal!.aborted).toBe(false)
    await requests[0]!.answer(9)
    await settle()
    expect(explorer.state.write).toBe(9)
    expect(writing.written?.continuation).toBe('x'.repeat(9))
    expect(writing.working).toBe(false)
    expect(requests).toHaveLength(1)
  })

  it('writes the whole length if that is chosen again', async () => {
    begin(100)
    await settle()
    report({ done: 7, total: 100 })
    writing.stop()
    await requests[0]!.answer(9)
    await settle()
    writing.choose({ length: 100 })
    await settle()
    expect(requests.map(({ length }) => length)).toEqual([100, 100])
  })

  it('gives up while the text is still read, because nothing is written', async () => {
    begin(100)
    await settle()
    report({ done: 1, total: 2 })
    writing.stop()
    await settle()
    expect(requests[0]!.waiting.signal!.aborted).toBe(true)
    expect([explorer.state.write, writing.working, requests.length]).toEqual([100, false, 1])
  })

  it('keeps the whole continuation while that without the holds is written', async () => {
    begin(20, [{ signal: 'c' }])
    await settle()
    report({ done: 19, total: 20 })
    await requests[0]!.answer(20)
    expect(writing.working).toBe(true)
    writing.stop()
    await settle()
    expect(requests[1]!.waiting.signal!.aborted).toBe(true)
    expect(writing.written).toMatchObject({ continuation: 'x'.repeat(20), unheld: null })
    expect([explorer.state.write, writing.working, requests.length]).toEqual([20, false, 2])
  })

  it('writes as many symbols without the holds as were written with them', async () => {
    begin(20, [{ signal: 'c' }])
    await settle()
    report({ done: 3, total: 20 })
    writing.stop()
    await requests[0]!.answer(5)
    await settle()
    expect(requests.map(({ length, holds }) => [length, holds.length])).toEqual([
      [20, 1],
      [20, 0],
      [5, 0],
    ])
    await requests[2]!.answer(5)
    await settle()
    expect(writing.written).toMatchObject({ continuation: 'xxxxx', unheld: 'xxxxx' })
  })
})
