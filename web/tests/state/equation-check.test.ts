// The check of the equations on the screen: after the picture, once for each trace, and never dropped.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Check, type Source, SourceError, type TraceRequest } from '../../src/data/source'
import { Trace } from '../../src/data/trace'
import { EquationCheck } from '../../src/state/equation-check.svelte'
import { traceBytes } from '../data/trace-bytes'

const request = { text: 'a' } as TraceRequest
const holds: Check = { residual: 1e-7, tolerance: 1e-5, steps: 1 }
const trace = (residual = 'null'): Trace => Trace.read(traceBytes('native', residual))

/** A source that gives these answers to the checks, one after the other. */
function checking(...answers: (Check | Error | 'never')[]) {
  const signals: AbortSignal[] = []
  const check = vi.fn<Source['check']>((_, __, ___, waiting) => {
    signals.push(waiting!.signal!)
    const answer = answers[signals.length - 1]!
    if (answer === 'never') return new Promise(() => undefined)
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)
  })
  return { check, signals, equations: new EquationCheck({ check } as unknown as Source) }
}

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())
const later = (milliseconds = 0): Promise<unknown> => vi.advanceTimersByTimeAsync(milliseconds)

describe('the check of a trace', () => {
  it('is under way until the answer comes, and is requested once', async () => {
    const { check, equations } = checking(holds)
    const [first, second] = [trace(), trace()]
    equations.follow('run', request, first)
    expect(equations.of(first)).toEqual({ state: 'checking' })
    await later()
    expect(equations.of(first)).toEqual({ state: 'holds', ...holds })
    equations.follow('run', request, first)
    expect(equations.of(second), 'another trace is another question').toEqual({ state: 'checking' })
    expect(check).toHaveBeenCalledTimes(1)
  })

  it('is not requested if the trace has the result', async () => {
    const { check, equations } = checking()
    const known = trace('2e-07')
    equations.follow('run', request, known)
    await later()
    expect(equations.of(known)).toMatchObject({ state: 'holds', residual: 2e-7 })
    expect(check).not.toHaveBeenCalled()
  })

  it('fails in words if an equation does not hold', async () => {
    const { equations } = checking(new SourceError('It is off by 0.5.', false, 'EXPLORER_CHECK_FAILED'))
    const wrong = trace('0.5')
    equations.follow('run', request, wrong)
    await later()
    expect(equations.of(wrong)).toEqual({ state: 'fails', problem: 'It is off by 0.5.' })
  })

  it('is tried again if nobody answers, then is unknown, and is done on request', async () => {
    const lost = new SourceError('Lost.', true)
    const { check, equations } = checking(lost, lost, lost, lost, lost, holds)
    const own = trace()
    equations.follow('run', request, own)
    await later(60_000)
    expect(check).toHaveBeenCalledTimes(5)
    expect(equations.of(own)).toEqual({ state: 'unknown', problem: 'Lost.' })
    equations.again()
    expect(equations.of(own)).toEqual({ state: 'checking' })
    await later(1000)
    expect(equations.of(own)).toEqual({ state: 'holds', ...holds })
  })

  it('is given up for another text', async () => {
    const { signals, equations } = checking('never', holds, holds)
    const [first, second] = [trace(), trace()]
    equations.follow('run', request, first)
    await later()
    equations.follow('run', request, second)
    expect(signals[0]!.aborted).toBe(true)
  })
})
