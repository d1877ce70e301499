import { afterEach, describe, expect, it, vi } from 'vitest'
import { HttpSource } from '../src/data/http-source'
import { SourceError } from '../src/data/source'
import { text } from '../src/messages/text'
import { traceBytes } from './data/trace-bytes'

/** Answer every request with one response, and list the requests. */
function answering(answer: () => Promise<Response>): { path: string; options: RequestInit }[] {
  const requests: { path: string; options: RequestInit }[] = []
  vi.stubGlobal('fetch', (path: string, options: RequestInit) => {
    requests.push({ path, options })
    return answer()
  })
  return requests
}

const failure = async (request: Promise<unknown>): Promise<SourceError> => {
  const error: unknown = await request.catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(SourceError)
  return error as SourceError
}

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

describe('the server as a source', () => {
  it('is asked for a run by its name, whatever characters it has', async () => {
    const requests = answering(() => Promise.resolve(Response.json({ name: 'a/b ?#%' })))
    await new HttpSource('http://here').run('a/b ?#%')
    expect(requests.map(({ path }) => path)).toEqual(['http://here/api/runs/a%2Fb%20%3F%23%25'])
    expect(requests[0]!.options.method).toBeUndefined()
  })

  it('gets requests with a body as JSON, which foreign pages cannot send unasked', async () => {
    const requests = answering(() => Promise.resolve(Response.json({})))
    await new HttpSource().chain('run', { first: 1, last: 4 })
    const { path, options } = requests[0]!
    expect([path, options.method, options.body]).toEqual(['/api/runs/run/chain', 'POST', '{"first":1,"last":4}'])
    expect(options.headers).toEqual({ 'Accept-Language': 'en', 'Content-Type': 'application/json' })
  })

  it('is told to keep the answer of a study only when the study begins', async () => {
    const requests = answering(() => Promise.resolve(Response.json({ token: 'secret' })))
    const request = { kind: 'labels', keep: true } as unknown as Parameters<HttpSource['study']>[1]
    const source = new HttpSource()
    for (const start of [true, false]) await source.study('run', request, start)
    // What is kept is written in the run, which needs the token of the server's start.
    expect(requests.map(({ path }) => path)).toEqual(['/api/token', '/api/runs/run/study', '/api/runs/run/study'])
    expect(requests[1]!.options.headers).toMatchObject({ 'X-Gatescope-Token': 'secret' })
    expect(requests[2]!.options.headers).not.toHaveProperty('X-Gatescope-Token')
    const bodies = requests
      .slice(1)
      .map(({ options }) => JSON.parse(options.body as string) as { start: boolean; keep: boolean })
    expect(bodies.map(({ start, keep }) => [start, keep])).toEqual([
      [true, true],
      [false, false],
    ])
  })

  it('reports its progress while a picture takes long, and not afterwards', async () => {
    vi.useFakeTimers()
    const paths: string[] = []
    const request = { text: 'a' } as unknown as Parameters<HttpSource['trace']>[1]
    let finish = (): void => undefined
    let far = { sequence: 7, done: 1, total: 9 }
    vi.stubGlobal('fetch', (path: string) => {
      paths.push(path)
      if (path.startsWith('/api/progress')) return Promise.resolve(Response.json(far))
      return new Promise((resolve) => (finish = () => resolve(new Response(traceBytes('native')))))
    })
    const reports: unknown[] = []
    const answer = new HttpSource().trace('a', request, {
      replaces: true,
      onProgress: (progress) => reports.push(progress),
    })
    await vi.advanceTimersByTimeAsync(300)
    expect(reports, 'of another request').toEqual([])
    far = { sequence: 1, done: 2, total: 9 }
    await vi.advanceTimersByTimeAsync(300)
    expect(reports).toEqual([far])
    finish()
    expect((await answer).engine).toBe('native')
    const requestCount = paths.length
    await vi.advanceTimersByTimeAsync(1000)
    expect(paths).toHaveLength(requestCount)
  })

  it('passes on the sentence of a refusal', async () => {
    answering(() => Promise.resolve(Response.json({ error: 'Text: expected less.' }, { status: 413 })))
    expect(await failure(new HttpSource().run('a'))).toMatchObject({ problem: 'Text: expected less.', lost: false })
    answering(() => Promise.resolve(new Response('<html>', { status: 502 })))
    const unknown = await failure(new HttpSource().run('a'))
    expect(unknown).toMatchObject({ problem: text('SOURCE_FAILED', { status: 502 }), lost: false })
  })

  it('is lost if it does not answer, or stops in the middle of an answer', async () => {
    const lost = { problem: text('SOURCE_LOST'), lost: true }
    answering(() => Promise.reject(new TypeError('failed to fetch')))
    expect(await failure(new HttpSource().run('a'))).toMatchObject(lost)
    const stopping = new ReadableStream({ start: (stream) => stream.error(new TypeError('network error')) })
    answering(() => Promise.resolve(new Response(stopping)))
    expect(await failure(new HttpSource().chain('a', {}))).toMatchObject(lost)
  })
})
