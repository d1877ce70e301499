import { describe, expect, it } from 'vitest'
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

describe('a queue', () => {
  it('runs its jobs one after the other', async () => {
    const log: string[] = []
    const queue = new Queue()
    const [a, b] = [task(log, 'a'), task(log, 'b')]
    queue.add(a.run)
    queue.add(b.run)
    await settle()
    expect(log).toEqual(['start a'])
    a.end()
    b.end()
    await settle()
    expect(log).toEqual(['start a', 'end a', 'start b', 'end b'])
  })
})
