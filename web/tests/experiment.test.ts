// Experiments of the playground: their words in an address, their network.json, and a pasted text as a task.
import { describe, expect, it } from 'vitest'
import { readBundle } from '../engine/training/bundle'
import { Training } from '../engine/training/training'
import type { PlaygroundIndex, TaskBundle } from '../src/data/playground'
import {
  beginningOf,
  type Experiment,
  experimentText,
  networkOf,
  parseExperiment,
  settingIn,
  START_EXPERIMENT,
} from '../src/model/experiment'
import { MAX_TEXT, MIN_TEXT, textBundle } from '../src/model/text-bundle'

/** What Python makes: tests/reference/engine_playground.py writes it before the tests. */
interface Made {
  index: PlaygroundIndex
  bundles: Record<string, TaskBundle>
  networks: { cell: string; neurons: number; layers: number; task: string; forget: number | null; network: object }[]
  texts: { length: number; text: string; bundle: TextTask }[]
}

/** The bundle of a text, with the parts that the page makes itself. */
interface TextTask {
  title: string
  vocabulary: object
  readout: object
  training: object
  validation: object
  score: { chance: number }
  suggested: { recipe: { batch: number; unroll: number } }
}

const files = import.meta.glob<Made>('./engine/fixtures/playground.json', { import: 'default', eager: true })
const made = Object.values(files)[0]
if (!made) throw new Error('playground.json is missing: run scripts/write-engine-fixtures web/tests/engine/fixtures')
const { index } = made
const bundle = (task: string): TaskBundle => structuredClone(made.bundles[task]!)

describe('the words of an experiment', () => {
  it('are short, and have only the settings that differ', () => {
    expect(experimentText(START_EXPERIMENT)).toBe('lstm 10 1 counter')
    expect(experimentText({ ...START_EXPERIMENT, rate: 0.05, seed: 3 })).toBe('lstm 10 1 counter rate 0.05 seed 3')
  })

  it('restore every experiment', () => {
    const settings = [
      { rate: null, batch: null, clip: null, forget: null, seed: 0 },
      { rate: 1e-7, batch: 256, clip: 0.5, forget: null, seed: 999_999_999 },
    ]
    for (const { name: cell } of index.cells)
      for (const task of [...index.tasks.map(({ name }) => name), 'text'])
        for (const setting of settings) {
          const experiment: Experiment = { cell, neurons: 7, layers: 2, task, ...setting, from: null }
          expect(parseExperiment(experimentText(experiment), index)).toEqual(experiment)
        }
  })

  it.each([
    '',
    'lstm',
    'lstn 10 1 counter',
    'lstm 10 1 count',
    'lstm 0 1 counter',
    'lstm 129 1 counter',
    'lstm 10.5 1 counter',
    'lstm 10 5 counter',
    'lstm 10 1 counter seed',
    'lstm 10 1 counter seed -1',
    'lstm 10 1 counter rate 0',
    'lstm 10 1 counter rate 2',
    'lstm 10 1 counter batch 1e3',
    'lstm 10 1 counter steps 5',
    'lstm 10 1 constructor',
  ])('“%s” is refused', (words) => {
    expect(parseExperiment(words, index)).toBe(null)
  })

  it('settings are numbers in their range', () => {
    expect(settingIn('seed', '0')).toBe(0)
    expect(settingIn('batch', '0')).toBe(null)
    expect(settingIn('clip', '1e-3')).toBe(0.001)
    for (const field of ['', ' ', '0x10', 'Infinity', 'NaN', '1e', '--1']) expect(settingIn('rate', field)).toBe(null)
  })
})

describe('the network of an experiment', () => {
  it.each(made.networks)(
    '$cell of $neurons in $layers with forget bias $forget is that of Python',
    ({ network, ...experiment }) => {
      expect(networkOf({ ...START_EXPERIMENT, ...experiment }, bundle(experiment.task), index)).toEqual(network)
    },
  )

  it('trains alike with the same seed, and otherwise with another', () => {
    const losses = (seed: number): number[] => {
      const network = networkOf({ ...START_EXPERIMENT, cell: 'gru' }, bundle('counter'), index)
      const training = new Training(readBundle(bundle('counter')), null, { network, seed, recipe: { batch: 4 } })
      while (training.step < 10) training.advance()
      return training.history.map(({ loss }) => loss)
    }
    expect(losses(3)).toEqual(losses(3))
    expect(losses(3)).not.toEqual(losses(4))
  })
})

it('a sample begins as a middle test string does', () => {
  expect(beginningOf(bundle('counter'))).toMatchObject({ prime: 'aaaaaaX', stop: '\n', greedy: true })
  const text = textBundle('the cat sat on the mat. '.repeat(5), '', bundle('counter').suggested.network)!
  expect(beginningOf(text)).toMatchObject({ prime: '', stop: null, greedy: false })
})

describe('a pasted text', () => {
  const network = (): Record<string, unknown> => bundle('counter').suggested.network

  it.each(made.texts)('of $length symbols is the task of Python', ({ text, bundle: expected }) => {
    const task = textBundle(text, expected.title, network()) as unknown as TextTask
    for (const part of ['vocabulary', 'readout', 'training', 'validation'] as const)
      expect(task[part]).toEqual(expected[part])
    const { chance, ...score } = task.score
    expect(chance).toBeCloseTo(expected.score.chance, 12)
    expect({ ...score, chance: expected.score.chance }).toEqual(expected.score)
    const { batch, unroll } = expected.suggested.recipe
    expect(task.suggested.recipe).toMatchObject({ batch, unroll })
    expect(readBundle(task).training.kind).toBe('streams')
  })

  it('that is too short or too long has no bundle', () => {
    expect(textBundle('a'.repeat(MIN_TEXT - 1), '', network())).toBe(null)
    expect(textBundle('a'.repeat(MAX_TEXT + 1), '', network())).toBe(null)
  })

  it('of the shortest length trains', () => {
    const text = 'the cat sat on the mat. '.repeat(5).slice(0, MIN_TEXT)
    const training = new Training(readBundle(textBundle(text, '', network())), null, { recipe: { steps: 3 } })
    while (training.ended === null) training.advance()
    expect(training.history.at(-1)!.score!.better).toBe('lower')
  })
})
