import { describe, expect, it, vi } from 'vitest'
import { EngineError } from '../../engine/errors'
import { Mailbox } from '../../engine/mailbox'
import { EngineClient } from '../../src/data/engine-client'
import { FakeWorker, kernels, settled } from './fake-worker'

const client = (worker: FakeWorker): EngineClient => new EngineClient(() => worker, kernels)

const failure = async (request: Promise<unknown>): Promise<EngineError> => {
  const error: unknown = await request.catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(EngineError)
  return error as EngineError
}

describe('the engine', () => {
  it('starts with the first call, and gets the kernels before it', async () => {
    let started = 0
    const worker = new FakeWorker()
    const engine = new EngineClient(() => {
      started++
      return worker
    }, kernels)
    await settled()
    expect(started).toBe(0)
    void engine.call({ call: 'trace' })
    void engine.call({ call: 'sample' })
    await settled()
    expect(started).toBe(1)
    expect(worker.messages.map(({ call }) => call)).toEqual(['kernels', 'trace', 'sample'])
    expect((worker.messages[0]!['relaxed'] as ArrayBuffer).byteLength).toBe(2)
  })

  it('gives each call its own answer, in whatever order the answers come', async () => {
    const worker = new FakeWorker()
    const engine = client(worker)
    const answers = ['a', 'b', 'c'].map((run) => engine.call({ call: 'trace', run }))
    await settled()
    const sent = worker.sent('trace')
    for (const { id, run } of [sent[2]!, sent[0]!, sent[1]!]) worker.answer(id, `answer to ${String(run)}`)
    expect(await Promise.all(answers)).toEqual(['answer to a', 'answer to b', 'answer to c'])
  })

  it('passes on the code and the values of a refusal', async () => {
    const worker = new FakeWorker()
    const engine = client(worker)
    const refused = failure(engine.call({ call: 'trace' }))
    await settled()
    worker.refuse(worker.sent('trace')[0]!.id, 'TEXT_TOO_LONG', { steps: 3 })
    expect(await refused).toMatchObject({ code: 'TEXT_TOO_LONG', values: { steps: 3 } })
    expect(engine.native).toBe(true)
  })

  it('reports how far a call is, and tells the worker once that nobody waits for it', async () => {
    const worker = new FakeWorker()
    const engine = client(worker)
    const [seen, giving]: [object[], AbortController] = [[], new AbortController()]
    const waiting = { signal: giving.signal, onProgress: (progress: object) => void seen.push(progress) }
    const answer = engine.call({ call: 'trace' }, [], waiting).catch((error: unknown) => error)
    await settled()
    const { id } = worker.sent('trace')[0]!
    worker.emit('message', { data: { id, progress: { done: 3, total: 7 } } })
    expect(seen).toEqual([{ done: 3, total: 7 }])
    giving.abort()
    expect(await answer).toMatchObject({ name: 'AbortError' })
    expect(worker.messages.at(-1)).toEqual({ cancel: id })
    const count = worker.messages.length
    // A late report and answer are nobody's, and a call that is given up before it is sent is not sent.
    worker.emit('message', { data: { id, progress: { done: 4, total: 7 } } })
    worker.refuse(id, 'SUPERSEDED')
    await engine.call({ call: 'trace' }, [], waiting).catch(() => null)
    expect([seen.length, worker.messages.length]).toEqual([1, count])
  })

  it('tells the worker that what it has is enough, and still waits for the answer', async () => {
    const worker = new FakeWorker()
    const engine = client(worker)
    const enough = new AbortController()
    const answer = engine.call({ call: 'write' }, [], { enough: enough.signal })
    await settled()
    const { id } = worker.sent('write')[0]!
    enough.abort()
    expect(worker.messages.at(-1)).toEqual({ finish: id })
    worker.answer(id, 'ab')
    expect(await answer).toBe('ab')
    const late = new AbortController()
    const whole = engine.call({ call: 'write' }, [], { enough: late.signal })
    worker.answer(worker.sent('write')[1]!.id, 'abc')
    expect(await whole).toBe('abc')
    const count = worker.messages.length
    late.abort()
    expect(worker.messages).toHaveLength(count)
  })

  it('fails for good if the worker stops: waiting calls and later ones', async () => {
    const worker = new FakeWorker()
    const engine = client(worker)
    const waiting = failure(engine.call({ call: 'trace' }))
    await settled()
    worker.emit('error', { message: 'out of memory' })
    const stopped = { code: 'ENGINE_STOPPED', values: { error: 'out of memory' } }
    expect(await waiting).toMatchObject(stopped)
    expect(await failure(engine.call({ call: 'trace' }))).toMatchObject(stopped)
    expect(engine.native).toBe(false)
    expect(worker.sent('trace')).toHaveLength(1)
  })

  it('fails if the browser starts no worker', async () => {
    const engine = new EngineClient(() => {
      throw new Error('no workers')
    }, kernels)
    expect(await failure(engine.call({ call: 'trace' }))).toMatchObject({ code: 'ENGINE_STOPPED' })
    expect(engine.native).toBe(false)
  })

  it('computes without kernels where WebAssembly is forbidden', async () => {
    const worker = new FakeWorker()
    worker.replies.set('kernels', () => new Error('KERNELS_NOT_COMPILED'))
    worker.replies.set('trace', () => 7)
    const engine = client(worker)
    expect(await engine.call({ call: 'trace' })).toBe(7)
    expect(engine.native).toBe(false)
  })

  it('loads the kernels again if they did not arrive', async () => {
    const worker = new FakeWorker()
    worker.replies.set('trace', () => 7)
    let attempts = 0
    const engine = new EngineClient(
      () => worker,
      () => (attempts++ ? kernels() : Promise.reject(new TypeError('failed to fetch'))),
    )
    expect(await failure(engine.call({ call: 'trace' }))).toMatchObject({ code: 'ENGINE_STOPPED' })
    expect(engine.native).toBe(true)
    expect(await engine.call({ call: 'trace' })).toBe(7)
  })

  it('reads an answer in the mailbox in the next frame, and the same answer by message no more', async () => {
    const frames: (() => void)[] = []
    vi.stubGlobal('requestAnimationFrame', (frame: () => void) => frames.push(frame))
    const worker = new FakeWorker()
    const mailbox = new Mailbox(new SharedArrayBuffer(8 + 64))
    const engine = new EngineClient(() => worker, kernels, mailbox)
    await engine.ready()
    expect(worker.messages[0]).toEqual({ mailbox: mailbox.memory })
    const answer = engine.call({ call: 'trace' })
    const { id } = worker.sent('trace')[0]!
    new Mailbox(mailbox.memory).put(id, new ArrayBuffer(3))
    for (const frame of frames.splice(0)) frame()
    expect(await answer).toEqual(new ArrayBuffer(3))
    worker.answer(id, new ArrayBuffer(3))
    // Without an answer in the frame, the message brings it, and the box is free again.
    const second = engine.call({ call: 'trace' })
    for (const frame of frames.splice(0)) frame()
    const later = worker.sent('trace')[1]!.id
    new Mailbox(mailbox.memory).put(later, new ArrayBuffer(4))
    worker.answer(later, new ArrayBuffer(4))
    expect(await second).toEqual(new ArrayBuffer(4))
    expect(mailbox.take()).toBeNull()
    vi.unstubAllGlobals()
  })
})
