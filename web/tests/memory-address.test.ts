// The history of views in memory: what a browser does with addresses, for a document that has none.
import { expect, it } from 'vitest'
import { lacksAddress, MemoryAddress } from '../src/hosts/memory-address'

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve))

it('goes back and forward, and a new step drops what lay ahead', async () => {
  const bar = new MemoryAddress()
  const visited: string[] = []
  bar.follow(() => visited.push(bar.search + bar.hash))
  bar.write('replace', { place: 0 }, '?text=a')
  bar.write('push', { place: 1 }, '?text=ab#text=long')
  expect([bar.search, bar.hash, bar.state]).toEqual(['?text=ab', '#text=long', { place: 1 }])
  bar.travel(-1)
  bar.travel(-1) // as in a browser, nothing lies there
  await settled()
  expect([visited, bar.state]).toEqual([['?text=a'], { place: 0 }])
  bar.travel(1)
  await settled()
  expect(visited.at(-1)).toBe('?text=ab#text=long')
  bar.travel(-1)
  bar.write('push', { place: 1 }, '?text=c')
  bar.travel(1)
  await settled()
  expect(bar.search).toBe('?text=c')
})

it('stops when a listener no longer follows', async () => {
  const bar = new MemoryAddress()
  let visits = 0
  const stop = bar.follow(() => visits++)
  bar.write('push', null, '?text=a')
  stop()
  bar.travel(-1)
  await settled()
  expect(visits).toBe(0)
})

it('serves documents whose addresses no browser writes', () => {
  expect(['about:', 'blob:', 'http:', 'https:', 'file:'].map((protocol) => lacksAddress({ protocol }))).toEqual([
    true,
    true,
    false,
    false,
    false,
  ])
})
