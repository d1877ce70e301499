import { expect, it } from 'vitest'
import type { Playground } from '../src/state/playground.svelte'
import { Remembering } from '../src/state/remembering.svelte'

const STRINGS = ['aXb\n', 'aaXbb\n', 'aaaXbbb\n', 'aaaaXbbbb\n']
const OWED = STRINGS.flatMap((string) => {
  let owed = 0
  return [...string].map((symbol) => (symbol === 'a' ? ++owed : symbol === 'b' ? --owed : owed))
})

it('measures a training that was begun again and has as many updates as the one before', async () => {
  const playground = {
    experiment: { cell: 'lstm', neurons: 1, layers: 1, task: 'counter', from: null, seed: 0 },
    bundle: { remembered: { strings: STRINGS, quantities: [{ name: 'owed', title: '', count: true, values: OWED }] } },
    progress: { step: 2000, best: 1900, checkpoints: [0, 1000] },
    phase: 'ended',
    bestWeights: 'best',
    read: () => Promise.resolve([{ layer: {}, signal: {}, values: Float32Array.from(OWED) }]),
  }
  const remembering = new Remembering(playground as unknown as Playground)
  await remembering.measure()
  expect(remembering.found?.score).toBeCloseTo(1, 6)
  expect(remembering.since).toBe(0)
  remembering.forget()
  expect(remembering.found).toBe(null)
  await remembering.measure()
  expect(remembering.found?.score).toBeCloseTo(1, 6)
  expect(remembering.since).toBe(0)
})
