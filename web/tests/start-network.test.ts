// The networks of runs and files that the playground trains on.
import { describe, expect, it } from 'vitest'
import type { PlaygroundIndex } from '../src/data/playground'
import type { Run } from '../src/data/run'
import { experimentText, parseExperiment, START_EXPERIMENT } from '../src/model/experiment'
import { experimentFrom, experimentOf, fits, symbolsOf } from '../src/model/start-network'
import { textBundle } from '../src/model/text-bundle'

const TAPE = { steps: [1, 2] }
const INDEX = {
  tasks: [{ name: 'counter', title: '', question: '' }],
  cells: [{ name: 'lstm', network: { tape: TAPE }, layer: {} }],
} as unknown as PlaygroundIndex

const layer = { cell: 'lstm', neurons: 6, reverse: false, stacked: false, initial: false }
const network = (changes: object = {}): Record<string, unknown> => ({
  cells: { lstm: { tape: TAPE, biases: { f: 1 } } },
  layers: [layer, layer],
  vocabulary: { unit: 'character', end: '\n', symbols: ['a', 'X', 'b', '\n'] },
  readout: { kind: 'symbols', reads: 'every step' },
  ...changes,
})
const LETTERS = { unit: 'character', end: null, symbols: ['b', 'a', ' '] }

const run = (changes: object = {}): Run =>
  ({
    name: 'my run',
    layers: [{ cell: { name: 'lstm' }, neurons: 6, reverse: false, stacked: false }],
    readout: { kind: 'symbols' },
    task: { name: 'counter' },
    unit: 'character',
    end: '\n',
    weights: true,
    ...changes,
  }) as unknown as Run

it('a run is an experiment in an address', () => {
  const experiment = experimentFrom(run())!
  expect(experimentText(experiment)).toBe('lstm 6 1 counter from my%20run')
  expect(parseExperiment(experimentText(experiment), INDEX)).toEqual(experiment)
  expect(experimentFrom(run({ task: { name: 'adopted' }, end: null }))?.task).toBe('text')
})

it.each(['from', 'from ', 'from %zz', `from ${'a'.repeat(400)}`])('“%s” is no start', (words) => {
  expect(parseExperiment(`lstm 6 1 counter ${words}`, INDEX)).toBe(null)
})

describe('other networks are refused', () => {
  const wide = { cell: { name: 'lstm' }, neurons: 500, reverse: false, stacked: false }
  it.each<[string, object]>([
    ['no weights', { weights: false }],
    ['classes', { readout: { kind: 'classes' } }],
    ['a task with an end that is not here', { task: { name: 'anbn' } }],
    ['words', { unit: 'word', task: { name: 'text' }, end: null }],
    ['wide layers', { layers: [wide] }],
    ['another cell', { layers: [{ ...wide, neurons: 6, cell: { name: 'coupled' } }] }],
    ['two directions', { layers: [{ ...wide, neurons: 6, reverse: true }] }],
    ['layers of other sizes', { layers: [...run().layers, { ...wide, neurons: 7 }] }],
    ['many layers', { layers: Array(5).fill(run().layers[0]) }],
  ])('%s', (_, changes) => expect(experimentFrom(run(changes))).toBe(null))

  it.each([null, 1, 'a', [], {}, { layers: 3 }, { layers: [null] }, { layers: [{}] }, network({ readout: null })])(
    'network.json %j',
    (json) => expect(experimentOf(json, 'counter', 'a.zip')).toBe(null),
  )
})

it('a file fits the experiment of its sizes and equations', () => {
  const experiment = experimentOf(network(), 'counter', 'a.zip')!
  expect(experiment).toEqual({ ...START_EXPERIMENT, neurons: 6, layers: 2, from: 'file:a.zip' })
  expect(fits(network(), experiment, INDEX)).toBe(true)
  expect(fits(network(), { ...experiment, layers: 1 }, INDEX)).toBe(false)
  expect(fits(network({ cells: { lstm: { tape: { steps: [2] } } } }), experiment, INDEX)).toBe(false)
  expect(fits(null, experiment, INDEX)).toBe(false)
})

it('a text is read with the symbols of the network', () => {
  const symbols = symbolsOf(network({ vocabulary: LETTERS }))!
  const made = textBundle('ab ba c. '.repeat(20), '', {}, symbols) as unknown as {
    vocabulary: { symbols: string[] }
    training: { text: string }
    score: { chance: number }
  }
  expect(made.vocabulary.symbols).toEqual(LETTERS.symbols)
  expect(new Set(made.training.text)).toEqual(new Set('ab \uFFFD'))
  expect(made.score.chance).toBeLessThan(Math.log(3))
  expect(symbolsOf({ vocabulary: { symbols: [1] } })).toBe(null)
})
