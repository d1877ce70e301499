import { describe, expect, it, vi } from 'vitest'
import { Latest, Queue } from '../../src/state/requests'

/** A task that ends when `end` is called. */
function task(log: string[], name: string): { run: () => Promise<void>; end: () => void } {
  let end = (): void => {}
  const ended = new Promise<void>((resolve) => (end = resolve))
  return {
    run: () => {
      log.push(`start ${name}`)
      return ended.then(() => void log.push(`end ${name}`))
    },
    end: () => end(),
  }
}

const settle = (): Promise<void> => new Promise((done) => setTimeout(done, 5))

describe('the latest request', () => {
  it('waits for the present one, and replaces those before it', async () => {
    const log: string[] = []
    const latest = new Latest()
    const [a, b, c] = ['a', 'b', 'c'].map((name) => task(log, name)) as [
      ReturnType<typeof task>,
      ReturnType<typeof task>,
      ReturnType<typeof task>,
    ]
    latest.request(a.run)
    latest.request(b.run)
    latest.request(c.run)
    expect(log).toEqual(['start a'])
    a.end()
    await settle()
    expect(log).toEqual(['start a', 'end a', 'start c'])
    c.end()
    await settle()
    latest.request(b.run)
    expect(log.at(-1)).toBe('start b')
  })
})

describe('a request that takes long', () => {
  /** A task that ends when it is given up. */
  const endless =
    (log: string[], name: string) =>
    (signal: AbortSignal): Promise<void> => {
      log.push(`start ${name}`)
      return new Promise((resolve) =>
        signal.addEventListener('abort', () => {
          log.push(`give up ${name}`)
          resolve()
        }),
      )
    }

  it('is given up when a newer one waits, but not before its time', async () => {
    vi.useFakeTimers()
    const log: string[] = []
    const latest = new Latest(150)
    latest.request(endless(log, 'a'))
    await vi.advanceTimersByTimeAsync(1000)
    expect(log, 'nothing newer waits').toEqual(['start a'])
    latest.request(endless(log, 'b'))
    await vi.advanceTimersByTimeAsync(100)
    expect(log).toEqual(['start a', 'give up a', 'start b'])
    latest.request(endless(log, 'c'))
    await vi.advanceTimersByTimeAsync(100)
    expect(log).toHaveLength(3)
    await vi.advanceTimersByTimeAsync(200)
    expect(log.slice(3)).toEqual(['give up b', 'start c'])
    latest.request(endless(log, 'd'))
    latest.cancel()
    await vi.advanceTimersByTimeAsync(1000)
    expect(log.slice(5), 'the one that waited is dropped').toEqual(['give up c'])
    vi.useRealTimers()
  })
})

describe('a queue', () => {
  it('runs two jobs at a time, those in sight first', async () => {
    const log: string[] = []
    const queue = new Queue(2)
    const [a, b, c, d] = [task(log, 'a'), task(log, 'b'), task(log, 'c'), task(log, 'd')]
    for (const one of [a, b, c]) queue.add(one.run, () => false)
    queue.add(d.run, () => true)
    await settle()
    expect(log).toEqual(['start a', 'start b'])
    a.end()
    await settle()
    expect(log.slice(2)).toEqual(['end a', 'start d'])
    b.end()
    d.end()
    await settle()
    expect(log.slice(4).sort()).toEqual(['end b', 'end d', 'start c'])
  })
})
