import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Source, SourceError } from '../../src/data/source'
import type { StudyAnswer, StudyRequest } from '../../src/data/study'
import { Study } from '../../src/state/studies.svelte'

/** A source that answers in turn, and remembers the requests. */
function source(...answers: (StudyAnswer | Error)[]) {
  const requests: [string, StudyRequest, boolean][] = []
  const study = async (run: string, request: StudyRequest, start: boolean): Promise<StudyAnswer> => {
    requests.push([run, request, start])
    const answer = answers.shift() ?? { state: 'none' as const }
    if (answer instanceof Error) throw answer
    return answer
  }
  return { requests, source: { study } as unknown as Source }
}

const done = (result: unknown): StudyAnswer => ({ state: 'done', stale: false, result })
const LABELS: StudyRequest = { study: 'labels' }

describe('a study', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())
  const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0)

  it('is not requested twice in a row', async () => {
    const { requests, source: answers } = source(done(1))
    const study = new Study(answers, (result) => result as number)
    study.request('counter', LABELS, false)
    study.request('counter', LABELS, false)
    await settle()
    expect(requests).toHaveLength(1)
    expect([study.state, study.value]).toEqual(['done', 1])
    study.request('copy', LABELS, false)
    expect(requests).toHaveLength(2)
  })

  it('stays on the page while the same is computed to be saved', async () => {
    const { requests, source: answers } = source(done(1))
    const study = new Study(answers, (result) => result as number)
    study.request('counter', LABELS, false)
    await settle()
    study.request('counter', { ...LABELS, keep: true }, true, true)
    expect([study.state, study.value]).toEqual(['done', 1])
    expect(requests.at(-1)).toEqual(['counter', { study: 'labels', keep: true }, true])
  })

  it('is polled until it is done, and started once only', async () => {
    const working: StudyAnswer = { state: 'working', doing: 'DOING_COMPARING', done: 1, total: 4 }
    const { requests, source: answers } = source(working, { ...working, done: 2 }, done(7))
    const study = new Study(answers, (result) => result as number)
    study.request('counter', LABELS, true)
    await settle()
    expect([study.state, study.message, study.progress]).toEqual(['working', 'comparing neurons with features', 0.25])
    await vi.advanceTimersByTimeAsync(1000)
    expect([study.state, study.value]).toEqual(['done', 7])
    expect(requests.map(([, , start]) => start)).toEqual([true, false, false])
  })

  it('says why it failed, and forgets the request when the server is away', async () => {
    const { requests, source: answers } = source(new SourceError('No.'), new SourceError('Away.', true))
    const study = new Study(answers, (result) => result)
    study.request('counter', LABELS, true)
    await settle()
    expect([study.state, study.message]).toEqual(['failed', 'No.'])
    study.request('counter', LABELS, true, true)
    await settle()
    expect(study.state).toBe('unknown')
    study.request('counter', LABELS, true)
    expect(requests).toHaveLength(3)
  })

  it('drops an answer that was overtaken by a newer request', async () => {
    const { source: answers } = source(done('old'), done('new'))
    const study = new Study(answers, (result) => result as string)
    study.request('counter', LABELS, false)
    study.request('copy', LABELS, false)
    await settle()
    expect(study.value).toBe('new')
  })
})
