// Requests that were sent before the program arrived: each answer is used once, and by the same request alone.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { forgetEarly, sendEarly, takeEarly } from '../../src/data/early-answers'
import { HttpSource } from '../../src/data/http-source'
import type { TraceRequest } from '../../src/data/source'
import { traceBytes } from './trace-bytes'

const request = { text: 'ab', layer: 'layer0', signals: ['h'] } as unknown as TraceRequest
let paths: string[] = []
/** The status of the answers of the server. */
let status = 200

beforeEach(() => {
  paths = []
  status = 200
  vi.stubGlobal('fetch', (path: string) => {
    paths.push(path)
    if (status !== 200) return Promise.resolve(Response.json({ error: 'Refused.' }, { status }))
    return Promise.resolve(path.endsWith('/trace') ? new Response(traceBytes('native')) : Response.json({ name: path }))
  })
})
afterEach(() => {
  forgetEarly()
  vi.unstubAllGlobals()
})

describe('an early request', () => {
  it('answers the same request once', async () => {
    await sendEarly('/api/runs/a', 'en')
    const source = new HttpSource()
    expect(await source.run('a')).toEqual({ name: '/api/runs/a' })
    expect(paths).toHaveLength(1)
    await source.run('a')
    expect(paths, 'the run may have changed since').toHaveLength(2)
  })

  it('answers no request in another language or with another body', async () => {
    await sendEarly('/api/runs/a', 'zh')
    await new HttpSource().run('a')
    expect(paths).toHaveLength(2)
    await sendEarly('/api/runs/a/trace', 'en', { ...request, text: 'b' })
    await new HttpSource().trace('a', request)
    expect(paths).toHaveLength(4)
  })

  it('is forgotten once a picture is requested', async () => {
    await sendEarly('/api/runs/a/trace', 'en', request)
    await sendEarly('/api/runs/b/trace', 'en', request)
    expect((await new HttpSource().trace('a', request, { replaces: true })).engine).toBe('native')
    expect(paths).toHaveLength(2)
    expect(takeEarly('/api/runs/b/trace', 'en', request), 'older than the next picture').toBeNull()
  })

  it('is sent again if it was refused or got no answer', async () => {
    status = 503
    await sendEarly('/api/runs/a', 'en')
    status = 200
    expect(await new HttpSource().run('a')).toEqual({ name: '/api/runs/a' })
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('Failed to fetch')))
    await expect(sendEarly('/api/runs/a', 'en')).rejects.toThrow()
    vi.stubGlobal('fetch', () => Promise.resolve(Response.json({ name: 'again' })))
    expect(await new HttpSource().run('a')).toEqual({ name: 'again' })
  })
})
