// The worker: calls and their answers, errors as codes, and the newest text wins.
import { describe, expect, it } from 'vitest'
import type { Check } from '../../engine/checking'
import type { Written } from '../../engine/continuation'
import { readTensors } from '../../engine/tensors'
import { serve } from '../../engine/schedule'
import type { Answer, Call, Message, ProgressReport } from '../../engine/worker'
import { bytesOf, INDEX } from './fixtures'
import { plainBytes, relaxedBytes } from './kernel-problems'

const lstm = INDEX.cases.find(({ case: name }) => name === 'lstm/characters')!

interface Port {
  /** Send calls together and return their answers, in the order of the calls. */
  send: (...calls: Call[]) => Promise<Answer[]>
  /** Send one message. */
  post: (message: Message) => void
  /** Everything that the worker has sent, and the promise of its next message. */
  sent: (Answer | ProgressReport)[]
  next: () => Promise<void>
}

function worker(): Port {
  const sent: (Answer | ProgressReport)[] = []
  const waiting: (() => void)[] = []
  const post = serve({
    postMessage: (message) => {
      sent.push(message as Answer)
      waiting.splice(0).forEach((resume) => resume())
    },
  })
  const next = (): Promise<void> => new Promise((resolve) => void waiting.push(resolve))
  let count = 0
  const send = async (...calls: Call[]): Promise<Answer[]> => {
    const ids = calls.map(() => count++)
    calls.forEach((call, k) => post({ ...call, id: ids[k]! } as Message))
    const answers = (): Answer[] => sent.filter((one): one is Answer => 'ok' in one && ids.includes(one.id))
    while (answers().length < calls.length) await next()
    return answers().sort((a, b) => a.id - b.id)
  }
  return { send, post, sent, next }
}

const open: Call = { call: 'open', run: 'counter', network: lstm.network, weights: bytesOf(lstm, 'weights') }
const trace = (text: string): Call => ({ call: 'trace', run: 'counter', request: { text } })
const metadata = (answer: Answer): Record<string, string> =>
  readTensors((answer as { value: ArrayBuffer }).value).metadata

describe('the worker', () => {
  it('answers traces of an opened network, and names the engine', async () => {
    const { send } = worker()
    const [opened, first] = await send(open, trace('ab'))
    expect(opened).toEqual({ id: 0, ok: true, value: null })
    expect(metadata(first!)['engine']).toBe('browser-plain')
    const kernels: Call = { call: 'kernels', plain: plainBytes.buffer, relaxed: relaxedBytes.buffer }
    const [, second] = await send(kernels, trace('aba'))
    expect(metadata(second!)['engine']).toMatch(/^browser-native(-relaxed)?$/)
    expect(metadata(second!)['residual'], 'the check follows').toBe('null')
  })

  it('checks a text after its trace, and then knows its residual', async () => {
    const { send } = worker()
    await send(open)
    const check: Call = { call: 'check', run: 'counter', request: { text: 'abba' } }
    const [checked, traced] = await send(check, trace('abba'))
    const { residual, tolerance, steps } = (checked as { value: Check }).value
    expect([steps, tolerance]).toEqual([4, 1e-5])
    expect(residual).toBeGreaterThan(0)
    expect(residual).toBeLessThan(1e-6)
    expect(metadata(traced!)['residual']).toBe('null')
    const [again] = await send(trace('abba'))
    expect(Number(metadata(again!)['residual'])).toBeCloseTo(residual, 9)
    const [longer] = await send(trace('abbab'))
    expect(metadata(longer!)['residual']).toBe('null')
  })

  it('answers traces before checks, whatever arrived first', async () => {
    const { send, sent } = worker()
    await send(open, { call: 'check', run: 'counter', request: { text: 'ab' } }, trace('aba'), trace('abab'))
    expect(sent.map((one) => one.id)).toEqual([0, 2, 3, 1])
  })

  it('gives up what is cancelled, and keeps what it has recorded', async () => {
    const { send, post, sent } = worker()
    await send(open)
    const text = 'ab'.repeat(2000)
    // While the worker is busy, calls wait.
    post({ call: 'check', run: 'counter', request: { text: 'a' }, id: 99 })
    post({ ...trace(text), id: 100 } as Message)
    post({ ...trace('b'), id: 101 } as Message)
    post({ cancel: 100 })
    const [kept] = await send(trace(text))
    expect(sent.filter((one) => 'ok' in one && !one.ok)).toEqual([
      { id: 100, ok: false, code: 'SUPERSEDED', values: {} },
    ])
    expect(sent.filter(({ id }) => id === 100)).toHaveLength(1)
    // A cancelled and an unknown number are ignored.
    post({ cancel: 100 })
    post({ cancel: 999 })
    const fresh = worker()
    await fresh.send(open)
    const [whole] = await fresh.send(trace(text))
    const [ours, theirs] = [kept, whole].map((answer) => new Uint8Array((answer as { value: ArrayBuffer }).value))
    expect(ours!.every((byte, place) => byte === theirs![place])).toBe(true)
  })

  it('ends a continuation early, with what it has', async () => {
    const { send, post, sent } = worker()
    await send(open)
    const write = (length: number): Call => ({
      call: 'write',
      run: 'counter',
      request: { text: 'ab', length, temperature: 2, seed: 1, holds: [], layer: 'layer0', signals: ['c'] },
    })
    const [whole, short] = (await send(write(12), write(1))).map((answer) => (answer as { value: Written }).value)
    expect(whole!.logProbabilities.length).toBeGreaterThan(1)
    // While the worker is busy, calls wait.
    post({ call: 'check', run: 'counter', request: { text: 'a' }, id: 99 })
    post({ ...write(12), id: 100 } as Message)
    post({ finish: 100 })
    post({ finish: 999 })
    const [next] = await send(write(12))
    expect(sent.filter(({ id }) => id === 100)).toEqual([{ id: 100, ok: true, value: short }])
    expect(next).toMatchObject({ ok: true, value: whole })
  })

  it('reports errors as codes', async () => {
    const { send } = worker()
    const bad = { ...open, weights: new ArrayBuffer(3) } as Call
    const unknown = { call: 'fly' } as unknown as Call
    const answers = await send(bad, unknown, trace('a'), { call: 'trace', run: 'counter' } as Call)
    expect(answers.map((answer) => (answer.ok ? 'ok' : answer.code))).toEqual([
      'TENSORS_CUT_SHORT',
      'CALL_UNKNOWN',
      'RUN_NOT_OPEN',
      'RUN_NOT_OPEN',
    ])
  })
})
