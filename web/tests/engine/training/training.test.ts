// A training learns the counter, is the same for the same seed, and can be paused, repeated and shown at any checkpoint.
import { beforeAll, describe, expect, it } from 'vitest'
import { EngineError } from '../../../engine/errors'
import type { Kernels } from '../../../engine/kernels'
import { Network } from '../../../engine/network'
import { readTensors } from '../../../engine/tensors'
import { batchOf, sideBySide } from '../../../engine/training/batches'
import { Checkpoints } from '../../../engine/training/checkpoints'
import { Training, type TrainingOptions } from '../../../engine/training/training'
import { loadPlain } from '../kernel-problems'
import { bundleJson, bundleOf, INDEX } from './fixtures'

let kernels: Kernels
beforeAll(async () => {
  kernels = await loadPlain()
})

const make = (task: string, options: TrainingOptions = {}): Training => new Training(bundleOf(task), kernels, options)

function advance(training: Training, updates: number): Training {
  for (let k = 0; k < updates; k++) training.advance()
  return training
}

const weightsOf = (bytes: ArrayBuffer): object => Object.fromEntries(readTensors(bytes).tensors)

describe('the counter', () => {
  it('is learned until two scores in a row are perfect, and generalises', () => {
    const training = make('counter', { seed: 3 })
    while (training.ended === null) training.advance()
    expect(training.ended).toBe('solved')
    const scores = training.history.flatMap(({ score }) => (score ? [score] : []))
    expect(scores.slice(-2).map(({ value, solved }) => [value, solved])).toEqual([
      [1, true],
      [1, true],
    ])
    expect(training.bestScore()).toMatchObject({ value: 1, solved: true, exact: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] })
    expect(training.bestScore().firstFailure ?? 101).toBeGreaterThan(10)
    const length = training.history.length
    expect(training.advance()).toBe(null)
    expect(training.history.length).toBe(length)
  })

  it('has one entry for each report, with a falling loss', () => {
    const training = advance(make('counter'), 100)
    expect(training.history.map(({ step }) => step)).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90, 100])
    expect(training.history[0]!.loss).toBeLessThan(2 * Math.log(4))
    expect(training.history.at(-1)!.loss).toBeLessThan(0.6 * training.history[0]!.loss)
    expect(training.history.filter(({ validationLoss }) => validationLoss !== undefined).length).toBe(1)
  })
})

it.each(INDEX.histories)('$task has the history of Python on the same batches', ({ task, seed, changes, records }) => {
  const training = make(task, { seed, recipe: changes })
  while (training.ended === null) training.advance()
  expect(training.history.map(({ step }) => step)).toEqual(records.map(({ step }) => step))
  for (const [k, entry] of training.history.entries()) {
    const expected = records[k]!
    // Rounding in single precision grows from update to update.
    const near = (value: number, other: number): void =>
      expect(Math.abs(value - other), `step ${entry.step}`).toBeLessThan(1e-3 * Math.max(0.1, Math.abs(other)))
    near(entry.loss, expected.loss)
    near(entry.gradientNorm, expected.gradient_norm)
    expect(entry.learningRate).toBeCloseTo(expected.learning_rate, 14)
    expect(entry.validationLoss === undefined).toBe(expected.validation_loss === undefined)
    near(entry.validationLoss ?? 0, expected.validation_loss ?? 0)
    expect(entry.score?.value).toBe(expected.score?.value)
  }
})

it('the same seed gives the same history and weights, and another seed others', () => {
  const [first, again, other] = [5, 5, 6].map((seed) => advance(make('copy', { seed }), 40))
  expect(again!.history).toEqual(first!.history)
  expect(weightsOf(again!.bytes())).toEqual(weightsOf(first!.bytes()))
  expect(other!.history).not.toEqual(first!.history)
  expect(other!.history[0]!.loss).not.toBe(first!.history[0]!.loss)
})

it('a pause between updates changes nothing', () => {
  const paused = make('dyck1', { seed: 2 })
  advance(paused, 7)
  const other = advance(make('counter', { seed: 9 }), 5) // computes with the same kernels meanwhile
  advance(paused, 13)
  expect(paused.history).toEqual(advance(make('dyck1', { seed: 2 }), 20).history)
  expect(other.step).toBe(5)
})

it('the best weights are those with the best score, then with the smallest loss', () => {
  const recipe = { steps: 200, validateEvery: 10, learningRate: 0.3, schedule: 'constant', untilSolved: false } as const
  const training = make('counter', { seed: 8, recipe })
  while (training.ended === null) training.advance()
  const ranked = training.history.toSorted(
    (a, b) => b.score!.value - a.score!.value || a.validationLoss! - b.validationLoss!,
  )
  expect(training.bestStep).toBe(ranked[0]!.step)
  expect(ranked[0]!.step).toBeLessThan(200)
  expect(ranked[0]!.score!.value).toBeGreaterThan(ranked.at(-1)!.score!.value)
  expect(weightsOf(training.bestBytes())).toEqual(weightsOf(training.bytes(ranked[0]!.step)))
  expect(weightsOf(training.bestBytes())).not.toEqual(weightsOf(training.bytes()))
  expect(training.bestScore()).toEqual(ranked[0]!.score)
})

it('checkpoints are the weights of their step', () => {
  const training = advance(make('counter', { seed: 1 }), 30)
  expect(training.checkpoints.steps).toEqual([0, 10, 20, 30])
  expect(weightsOf(training.bytes(20))).toEqual(weightsOf(advance(make('counter', { seed: 1 }), 20).bytes()))
  expect(weightsOf(training.bytes(0))).toEqual(weightsOf(make('counter', { seed: 1 }).bytes()))
  expect(() => training.bytes(15)).toThrow('TRAINING_CHECKPOINT_MISSING')
  const opened = Network.open(training.network, training.bytes(20))
  expect(opened.step).toBe(20)
})

it('checkpoints thin out instead of growing without limit', () => {
  const checkpoints = new Checkpoints(10)
  for (let step = 0; step <= 5000; step++) checkpoints.add(step, Float32Array.of(step))
  const { steps } = checkpoints
  expect(steps.length).toBeLessThanOrEqual(65)
  expect(steps.length).toBeGreaterThan(30)
  expect(new Set(steps.slice(1).map((step, k) => step - steps[k]!)).size).toBe(1)
  for (const step of steps) expect(checkpoints.at(step)[0]).toBe(step)
})

it('a text is read by streams that carry their state', () => {
  const bundle = bundleOf('text')
  if (bundle.training.kind !== 'streams') throw new Error('the text has streams')
  const { ids: ring, restart } = bundle.training
  const recipe = { ...bundle.recipe, batch: 4, unroll: 16 }
  const chunks = Math.floor((ring.length - 1) / 64)
  const batches = Array.from({ length: chunks }, (_, step) => batchOf(bundle, recipe, 1, step))
  const read = batches.map((batch) => Array.from({ length: 4 }, (_, row) => batch.ids.filter((_, k) => k % 4 === row)))
  const text = [...ring, ...ring].join(',')
  for (let row = 0; row < 4; row++) {
    const stream = read.flatMap((rows) => [...rows[row]!])
    expect(text.includes(stream.join(','))).toBe(true)
    // The target of each step is the next symbol of the stream.
    const targets = batches.flatMap(({ places, targets: all }) =>
      'ids' in all ? [...all.ids].filter((_, k) => places[k]! % 4 === row) : [],
    )
    const last = batches.flatMap(({ places }) => [...places].filter((place) => place % 4 === row)).length
    expect(targets.length).toBe(last)
    if (last === stream.length) expect(targets.slice(0, -1)).toEqual(stream.slice(1))
  }
  expect(batches[0]!.continues).toEqual([false, false, false, false])
  const restarts = batches.flatMap(({ continues }, step) => (continues!.some((value) => !value) ? [step] : []))
  expect(restarts.length).toBeGreaterThan(1)
  expect(restarts.length).toBeLessThanOrEqual(1 + Math.ceil((4 * chunks) / restart))
  const next = batchOf(bundle, recipe, 1, chunks)
  expect(next.ids).not.toEqual(batches[0]!.ids)
})

it('a text is learned', () => {
  const recipe = { steps: 60, batch: 4, unroll: 16, warmup: 5, learningRate: 0.02, patience: null }
  const training = make('text', { recipe })
  while (training.ended === null) training.advance()
  expect(training.ended).toBe('finished')
  expect(training.bestScore().value).toBeLessThan(0.7 * training.bestScore().chance)
  expect(training.history.at(-1)!.validationLoss).toBeLessThan(2)
})

it('weights of strings decide how often each is drawn', () => {
  const bundle = bundleOf('anbn')
  if (bundle.training.kind !== 'strings') throw new Error('the language has strings')
  const counts = new Map<number, number>()
  for (let step = 0; step < 200; step++) {
    const { ids, rows } = batchOf(bundle, { ...bundle.recipe, batch: 50 }, 0, step)
    for (let row = 0; row < rows; row++) {
      const n = ids.filter((id, k) => k % rows === row && id === 0).length
      counts.set(n, (counts.get(n) ?? 0) + 1)
    }
  }
  const geometric = Array.from({ length: 8 }, (_, k) => 0.8 ** k)
  const total = geometric.reduce((sum, value) => sum + value, 0)
  geometric.forEach((value, k) => expect(counts.get(k + 1)! / 10_000).toBeCloseTo(value / total, 1))
})

it('targets of a language are the probabilities of its rows', () => {
  const bundle = bundleOf('anbncn')
  const { targets, places, rows, ids } = batchOf(bundle, bundle.recipe, 0, 0)
  if (!('probabilities' in targets)) throw new Error('the targets are probabilities')
  places.forEach((place, k) => {
    const row = [...targets.probabilities.subarray(4 * k, 4 * k + 4)]
    if (ids[place] === 0) expect(row).toEqual([0.5, 0.5, 0, 0])
    else expect([...row].sort()).toEqual([0, 0, 0, 1])
  })
  expect(rows).toBe(bundle.recipe.batch)
})

it('the last symbol of a string is a target only', () => {
  const batch = sideBySide([Int32Array.of(0, 1, 2), Int32Array.of(2, 1)])
  expect([...batch.ids]).toEqual([0, 2, 1, -1])
  expect([...batch.lengths!]).toEqual([2, 1])
  expect([...batch.places]).toEqual([0, 1, 2])
  expect(batch.targets).toEqual({ ids: Int32Array.of(1, 1, 2) })
})

describe('a training is refused', () => {
  const network = (change: (json: Record<string, unknown>) => void): unknown => {
    const json = structuredClone(bundleOf('counter').network) as Record<string, unknown>
    change(json)
    return json
  }
  it.each([
    ['TRAINING_DROPOUT_UNSUPPORTED', network((json) => (json['dropout'] = 0.1))],
    ['TRAINING_HIDDEN_UNSUPPORTED', network((json) => (json['hidden'] = [{ neurons: 3, activation: 'relu' }]))],
    ['TRAINING_SYMBOLS_DIFFER', bundleOf('copy').network],
  ])('with %s', (code, changed) => {
    expect(() => make('counter', { network: changed })).toThrow(EngineError)
    expect(() => make('counter', { network: changed })).toThrow(code)
  })

  it('with a text that is too short for its batch', () => {
    const training = make('text', { recipe: { batch: 500, unroll: 100 } })
    expect(() => training.advance()).toThrow('TRAINING_TEXT_TOO_SHORT')
  })

  it('with settings out of their range', () => {
    expect(() => make('counter', { recipe: { clip: 0 } })).toThrow('RECIPE_SETTING_INVALID')
    expect(() => make('counter', { recipe: { steps: 1.5 } })).toThrow('RECIPE_SETTING_INVALID')
  })
})

it('both engines train alike', () => {
  const [native, plain] = (['native', 'plain'] as const).map((engine) => advance(make('copy', { engine }), 20))
  expect([native!.engines, plain!.engines]).toEqual([
    ['native', 'native'],
    ['plain', 'plain'],
  ])
  for (const [k, { loss, gradientNorm }] of plain!.history.entries()) {
    expect(loss).toBeCloseTo(native!.history[k]!.loss, 5)
    expect(gradientNorm).toBeCloseTo(native!.history[k]!.gradientNorm, 4)
  }
  const none = new Training(bundleOf('counter'), null)
  expect(none.engines).toEqual(['plain'])
  expect(() => new Training(bundleOf('counter'), null, { engine: 'native' })).toThrow('ENGINE_NATIVE_MISSING')
})

it('a training that diverges is stopped', () => {
  const training = make('counter', { recipe: { learningRate: 500, clip: 1e6, finalLearningRate: 1 } })
  expect(() => advance(training, 2000)).toThrow(/TRAINING_(DIVERGED|NOT_FINITE)/)
})

it('the readout shrinks where the recipe says so', () => {
  const norm = (training: Training): number => {
    const { data } = readTensors(training.bytes()).tensors.get('readout_weights')!
    return Math.hypot(...Array.from(data as Float32Array))
  }
  const [plain, shrunk] = [0, 5].map((readoutDecay) => norm(advance(make('counter', { recipe: { readoutDecay } }), 50)))
  expect(shrunk).toBeLessThan(0.6 * plain!)
})

it('a bundle is not changed by a training', () => {
  const json = bundleJson('counter')
  expect(json).toEqual(bundleJson('counter'))
  advance(make('counter'), 3)
  expect(bundleJson('counter')).toEqual(json)
})
