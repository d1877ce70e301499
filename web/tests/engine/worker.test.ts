// The worker: calls and their answers, errors as codes, and the newest text wins.
import { describe, expect, it } from 'vitest'
import { readTensors } from '../../engine/tensors'
import { type Answer, type Call, type Message, serve } from '../../engine/worker'
import { bytesOf, INDEX } from './fixtures'
import { plainBytes, relaxedBytes } from './kernel-problems'

const lstm = INDEX.cases.find(({ case: name }) => name === 'lstm/characters')!

/** A worker and a function that sends it calls together and returns their answers. */
function worker(): (...calls: Call[]) => Promise<Answer[]> {
  let report: (answer: Answer) => void = () => undefined
  const receive = serve({ postMessage: (answer) => report(answer as Answer) })
  return (...calls) =>
    new Promise((resolve) => {
      const answers: Answer[] = []
      report = (answer) => {
        answers.push(answer)
        if (answers.length === calls.length) resolve(answers.sort((a, b) => a.id - b.id))
      }
      calls.forEach((call, id) => receive({ ...call, id } as Message))
    })
}

const open: Call = { call: 'open', run: 'counter', network: lstm.network, weights: bytesOf(lstm, 'weights') }
const trace = (text: string): Call => ({ call: 'trace', run: 'counter', request: { text } })
const metadata = (answer: Answer): Record<string, string> =>
  readTensors((answer as { value: ArrayBuffer }).value).metadata

describe('the worker', () => {
  it('answers traces of an opened network, and names the engine', async () => {
    const send = worker()
    const [opened, first] = await send(open, trace('ab'))
    expect(opened).toEqual({ id: 0, ok: true, value: null })
    expect(metadata(first!)['engine']).toBe('browser-plain')
    const kernels: Call = { call: 'kernels', plain: plainBytes.buffer, relaxed: relaxedBytes.buffer }
    const [, second] = await send(kernels, trace('aba'))
    expect(metadata(second!)['engine']).toMatch(/^browser-native(-relaxed)?$/)
    expect(metadata(second!)['holds']).toBe('true')
  })

  it('answers only the newest text of those that wait', async () => {
    const send = worker()
    await send(open)
    const answers = await send(trace('a'), trace('ab'), trace('ab'), trace('aba'))
    expect(answers.map((answer) => (answer.ok ? 'ok' : answer.code))).toEqual([
      'SUPERSEDED',
      'SUPERSEDED',
      'SUPERSEDED',
      'ok',
    ])
    // Two requests about one text, as for two neurons, are both answered.
    expect((await send(trace('b'), trace('b'))).map(({ ok }) => ok)).toEqual([true, true])
  })

  it('reports errors as codes', async () => {
    const send = worker()
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
