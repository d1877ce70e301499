import { afterEach, describe, expect, it, vi } from 'vitest'
import { ActError, Acts, parametersOf, viewOf } from '../../src/data/acts'

interface Sent {
  path: string
  options: RequestInit
}

/** Answer `/api/token` with numbered tokens, and everything else with the given responses, the last one repeatedly. */
function serving(...responses: (() => Response)[]): Sent[] {
  const sent: Sent[] = []
  let tokens = 0
  let answers = 0
  vi.stubGlobal('fetch', (path: string, options: RequestInit = {}) => {
    if (path.endsWith('/api/token')) return Promise.resolve(Response.json({ token: `token ${++tokens}` }))
    sent.push({ path, options })
    return Promise.resolve(responses[Math.min(answers++, responses.length - 1)]!())
  })
  return sent
}

const refusal = (code: string, status: number): Response =>
  Response.json({ error: 'A sentence.', code, values: { name: 'x' } }, { status })

afterEach(() => vi.unstubAllGlobals())

describe('acts', () => {
  it('are POST requests with the token of the start, which is read once', async () => {
    const sent = serving(() => Response.json({ name: 'b/c' }))
    const acts = new Acts('http://here')
    expect(await acts.rename('a b', 'b/c')).toBe('b/c')
    await acts.rename('a', 'b')
    expect(sent.map(({ path, options }) => [path, options.method, options.body])).toEqual([
      ['http://here/api/runs/a%20b/rename', 'POST', '{"name":"b/c"}'],
      ['http://here/api/runs/a/rename', 'POST', '{"name":"b"}'],
    ])
    for (const { options } of sent) expect(options.headers).toMatchObject({ 'X-Gatescope-Token': 'token 1' })
  })

  it('read the token again after a restart of the server, once', async () => {
    const sent = serving(
      () => refusal('ACT_TOKEN_WRONG', 403),
      () => Response.json({ tags: ['x'] }),
      () => refusal('ACT_TOKEN_WRONG', 403),
    )
    const acts = new Acts()
    expect(await acts.tag('a', ['x'])).toEqual(['x'])
    const tokens = sent.map(({ options }) => (options.headers as Record<string, string>)['X-Gatescope-Token'])
    expect(tokens).toEqual(['token 1', 'token 2'])
    await expect(acts.tag('a', ['x'])).rejects.toMatchObject({ code: 'ACT_TOKEN_WRONG' })
    expect(sent).toHaveLength(4)
  })

  it('are refused with a code and values', async () => {
    serving(() => refusal('RUN_NAME_TAKEN', 409))
    const error: unknown = await new Acts().rename('a', 'x').catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ActError)
    expect(error).toMatchObject({ problem: 'A sentence.', code: 'RUN_NAME_TAKEN', values: { name: 'x' }, status: 409 })
  })

  it('are lost without a server', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('failed to fetch')))
    await expect(new Acts().trash()).rejects.toMatchObject({ code: null, lost: true })
    await expect(new Acts().delete('a')).rejects.toMatchObject({ code: null, lost: true })
  })
})

describe('the view of a star', () => {
  it('is the address without its run, and gives the address back', () => {
    const parameters = new URLSearchParams('run=a&view=network&hold=0.4.f.0.12-&hold=0.1.c.0.3&text=a%26b%0A')
    const view = viewOf(parameters)
    expect(view).toEqual({ view: 'network', hold: ['0.4.f.0.12-', '0.1.c.0.3'], text: 'a&b\n' })
    expect(parametersOf('a', view).toString()).toBe(parameters.toString())
    expect(parametersOf('new name', view).get('run')).toBe('new name')
    const long = viewOf(new URLSearchParams('run=a&lang=zh&stored=0f3&neuron=4'), 'a long text')
    expect(long).toEqual({ neuron: '4', text: 'a long text' })
  })
})
