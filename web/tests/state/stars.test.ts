// The stars of runs as the page keeps them.
import { expect, it } from 'vitest'
import { Acts, type Star } from '../../src/data/acts'
import { Stars } from '../../src/state/stars.svelte'

class FakeActs extends Acts {
  override stars(run: string): Promise<Star[]> {
    return Promise.resolve([{ id: run, view: {}, sentence: run, created: '2026-01-31T12:00:00Z' }])
  }
}

it('keeps the stars of all runs that are loaded at once', async () => {
  const stars = new Stars(new FakeActs())
  await Promise.all([stars.load('one'), stars.load('two')])
  expect([...stars.byRun.keys()]).toEqual(['one', 'two'])
})
