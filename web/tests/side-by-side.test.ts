// Networks beside each other in the playground: their words in an address, what differs, and their training in turn.
import { describe, expect, it } from 'vitest'
import { initialWeights } from '../engine/initial-weights'
import { readConfiguration } from '../engine/configuration'
import { EngineError } from '../engine/errors'
import { answer, type Call, Engine } from '../engine/worker'
import type { PlaygroundIndex, TaskBundle } from '../src/data/playground'
import type { PlaygroundSource } from '../src/data/source'
import { experimentText, networkOf, parseExperiment, START_EXPERIMENT } from '../src/model/experiment'
import { networkNames } from '../src/model/network-names'
import { besideText, COMPARISONS, countsTo, networksOf, parseBeside, withCell } from '../src/model/side-by-side'
import { playgroundOf } from '../src/state/playground.svelte'
import { besideOf, type SideBySide } from '../src/state/side-by-side.svelte'

interface Made {
  index: PlaygroundIndex
  bundles: Record<string, TaskBundle>
}

const files = import.meta.glob<Made>('./engine/fixtures/playground.json', { import: 'default', eager: true })
const made = Object.values(files)[0]
if (!made) throw new Error('playground.json is missing: run scripts/write-engine-fixtures web/tests/engine/fixtures')
const { index, bundles } = made

describe('the words of a network beside another', () => {
  const first = { ...START_EXPERIMENT, task: 'copy', batch: 4, seed: 3, rate: 0.05 }

  it('have no task, batch and seed: those of the first network hold', () => {
    expect(besideText({ ...first, cell: 'elman' })).toBe('elman 10 1 rate 0.05')
    expect(parseBeside('lstm 3 2 forget 0', first, index)).toEqual({
      ...first,
      rate: null,
      neurons: 3,
      layers: 2,
      forget: 0,
    })
  })

  it('restore every network of a comparison', () => {
    for (const name of COMPARISONS)
      for (const network of networksOf(name, [first], index)!)
        expect(parseBeside(besideText(network), first, index)).toEqual(network)
  })

  it.each([
    '',
    'elman',
    'elman 10',
    'elman 10 1 seed 4',
    'elman 10 1 batch 8',
    'elman 10 1 copy',
    'elman 10 1 forget 0',
  ])('“%s” is refused', (words) => expect(parseBeside(words, first, index)).toBe(null))
})

describe('a comparison', () => {
  it('adds a cell that is not there yet, up to three networks', () => {
    const two = networksOf('cell', [START_EXPERIMENT], index)!
    expect(two.map(({ cell }) => cell)).toEqual(['lstm', 'elman'])
    const three = networksOf('cell', [two[0]!, two[1]!], index)!
    expect(three.map(({ cell }) => cell)).toEqual(['lstm', 'elman', 'gru'])
    expect(networksOf('cell', [three[0]!, three[1]!, three[2]!], index)).toBe(null)
  })

  it('of forget biases needs a forget gate', () => {
    expect(networksOf('forget', [START_EXPERIMENT], index)!.map(({ forget }) => forget)).toEqual([0, null])
    expect(networksOf('forget', [{ ...START_EXPERIMENT, cell: 'gru' }], index)).toBe(null)
    expect(withCell({ ...START_EXPERIMENT, forget: 0 }, 'gru', index).forget).toBe(null)
    expect(withCell({ ...START_EXPERIMENT, forget: 0 }, 'peephole', index).forget).toBe(0)
  })

  it('names the cells and what differs', () => {
    const names = (name: (typeof COMPARISONS)[number]): string[] =>
      networkNames(networksOf(name, [START_EXPERIMENT], index)!, index)
    expect(names('cells')).toEqual(['LSTM', 'Elman (tanh)', 'GRU'])
    expect(names('forget')).toEqual(['LSTM, forget bias 0', 'LSTM, forget bias 1'])
    expect(names('neurons')).toEqual(['LSTM, 3 neurons', 'LSTM, 10 neurons'])
  })
})

describe('a forget bias', () => {
  it('is a setting of cells with a forget gate', () => {
    expect(parseExperiment('lstm 10 1 counter forget -1.5', index)).toMatchObject({ forget: -1.5 })
    expect(experimentText({ ...START_EXPERIMENT, forget: 0 })).toBe('lstm 10 1 counter forget 0')
    for (const words of ['gru 10 1 counter forget 0', 'lstm 10 1 counter forget 11', 'lstm 10 1 counter forget x'])
      expect(parseExperiment(words, index)).toBe(null)
  })

  it('changes no other initial weight', () => {
    const weightsOf = (forget: number | null): Map<string, ArrayLike<number>> => {
      const network = networkOf({ ...START_EXPERIMENT, forget }, bundles['counter']!, index)
      return initialWeights(readConfiguration(network), 7)
    }
    const [open, closed] = [weightsOf(null), weightsOf(0)]
    for (const [name, values] of open) if (!name.endsWith('biases')) expect(closed.get(name)).toEqual(values)
    expect(Array.from(open.get('layers.0.biases')!)).toContain(1)
    expect(new Set(Array.from(closed.get('layers.0.biases')!))).toEqual(new Set([0]))
  })
})

it('a network counts to the last length before the first wrong one', () => {
  const levels = (rights: number[]) => rights.map((right, k) => ({ level: k + 1, right, strings: 1 }))
  expect(countsTo(levels([1, 1, 0, 1]))).toBe(2)
  expect(countsTo(levels([0, 1]))).toBe(0)
  expect(countsTo(levels([1, 1]))).toBe(2)
  expect(countsTo([])).toBe(0)
})

describe('networks that are trained in turn', () => {
  let id = 0
  /** Return networks in a worker that refuses some calls. */
  function groupOf(refuses: (request: object) => boolean = () => false): SideBySide {
    const engine = new Engine()
    const call = async (request: object): Promise<unknown> => {
      if (refuses(request)) throw new EngineError('TRAINING_DIVERGED', { step: 1, rate: 0.5 })
      const reply = await answer(engine, { ...request, id: id++ } as Call & { id: number })
      if (!reply.ok) throw new Error(reply.code)
      return reply.value
    }
    const load = async (path: string): Promise<ArrayBuffer> => {
      const name = path.replace('bundles/', '').replace('.json', '')
      return new TextEncoder().encode(JSON.stringify(name === 'index' ? index : bundles[name])).buffer as ArrayBuffer
    }
    const source = { engine: { call }, load } as unknown as PlaygroundSource
    return besideOf(playgroundOf(source), source)
  }
  const stepsOf = ({ networks }: SideBySide): (number | undefined)[] => networks.map(({ progress }) => progress?.step)

  it('do as many updates, also one that is added later, and start over together', async () => {
    const group = groupOf()
    await group.first.follow('lstm 3 1 counter batch 2 seed 5', null)
    await group.first.step()
    await group.follow(['elman 3 1'], null)
    expect(stepsOf(group)).toEqual([1, 1])
    await group.first.step()
    await group.follow(['elman 3 1', 'gru 3 1'], null)
    expect(stepsOf(group)).toEqual([2, 2, 2])
    expect(group.isAtRest).toBe(true)
    const [, elman] = group.networks
    await group.follow(['gru 3 1', 'elman 3 1'], null)
    expect(group.networks[2], 'a network that moves is the same one').toBe(elman)
    expect(group.words).toEqual(['gru 3 1', 'elman 3 1'])
    expect(group.experiments.map(({ batch, seed }) => [batch, seed])).toEqual([2, 2, 2].map((batch) => [batch, 5]))
    await group.startOver()
    expect(stepsOf(group)).toEqual([0, 0, 0])
  })

  it('learn as they learn alone', async () => {
    const [group, alone] = [groupOf(), groupOf()]
    await group.first.follow('lstm 3 1 counter batch 2', null)
    await group.follow(['gru 3 1'], null)
    await alone.first.follow('gru 3 1 counter batch 2', null)
    for (let k = 0; k < 10; k++) {
      await group.first.step()
      await alone.first.step()
    }
    const untimed = ({ entries }: { entries: readonly object[] }): object[] =>
      entries.map((entry) => ({ ...entry, seconds: null }))
    expect(group.networks[1]!.entries).toHaveLength(1)
    expect(untimed(group.networks[1]!)).toEqual(untimed(alone.first))
  })

  it('are measured at rest', async () => {
    const group = groupOf()
    await group.first.follow('lstm 3 1 counter batch 2', null)
    await group.follow(['elman 3 1'], null)
    await group.measure()
    const measures = group.networks.map((network) => group.measuresOf(network))
    for (const { map, levels, problem } of measures) {
      expect(problem).toBe(null)
      expect(map!.labels).toHaveLength(map!.steps)
      expect(levels.map(({ level }) => level)).toEqual(Array.from({ length: 20 }, (_, k) => k + 1))
    }
    await group.follow([], null)
    expect(group.several).toBe(false)
  })

  it('leave out words that are no network, and say so', async () => {
    const group = groupOf()
    await group.first.follow('lstm 3 1 counter', null)
    await group.follow(['elman 3 1', 'lstn 3 1'], null)
    expect(group.words).toEqual(['elman 3 1'])
    expect(group.problem).toContain('got “lstn 3 1”. It is left out.')
    await group.follow(['elman 3 1', 'gru 3 1', 'peephole 3 1'], null)
    expect(group.words).toEqual(['elman 3 1', 'gru 3 1'])
    expect(group.problem).toContain('got “peephole 3 1”')
  })

  it('go on without one that diverges', async () => {
    let steps = 0
    const group = groupOf((request) => {
      const { run, request: inner } = request as { run: string; request: { action: string } }
      return run === 'playground 1' && inner.action === 'advance' && ++steps > 1
    })
    await group.first.follow('lstm 3 1 counter batch 2', null)
    await group.follow(['elman 3 1', 'gru 3 1'], null)
    for (let k = 0; k < 3; k++) await group.first.step()
    expect(stepsOf(group)).toEqual([3, 1, 3])
    expect(group.networks[1]!.phase).toBe('failed')
    expect(group.networks[1]!.problem).toContain('smaller learning rate than 0.5')
    expect(group.isAtRest).toBe(true)
    await group.measure()
    expect(group.networks.map((network) => group.measuresOf(network).levels.length)).toEqual([20, 0, 20])
  })
})
