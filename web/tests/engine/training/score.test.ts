// The rules of a bundle give the scores and the validation losses of Python, and the recipe its learning rates.
import { beforeAll, describe, expect, it } from 'vitest'
import type { Values } from '../../../engine/arrays'
import { EngineError } from '../../../engine/errors'
import type { Kernels } from '../../../engine/kernels'
import { readTensors } from '../../../engine/tensors'
import { type Bundle, readBundle } from '../../../engine/training/bundle'
import { TrainedNetwork } from '../../../engine/training/network-pass'
import { type Predict, predictor } from '../../../engine/training/predict'
import { learningRateAt, type Recipe, validatesAt } from '../../../engine/training/recipe'
import { scoreOf, validationOf } from '../../../engine/training/score'
import { Weights } from '../../../engine/training/weights'
import { loadPlain } from '../kernel-problems'
import { arrayOf, bundleJson, bundleOf, INDEX, TASKS } from './fixtures'

let kernels: Kernels
beforeAll(async () => {
  kernels = await loadPlain()
})

function predictorOf(bundle: Bundle, number: number): Predict {
  const bytes = (arrayOf(`${bundle.task}/weights${number}`).data as Uint8Array<ArrayBuffer>).slice().buffer
  const values = new Map([...readTensors(bytes).tensors].map(([name, { data }]) => [name, data as Values]))
  const weights = new Weights(bundle.configuration, 'float32', values)
  return predictor(new TrainedNetwork(bundle.configuration, weights, kernels))
}

describe.each(INDEX.bundles)('$bundle.task', ({ bundle: json, scores }) => {
  it('has the scores of Python', () => {
    const bundle = readBundle(json)
    for (const [k, { score: expected, validation }] of scores.entries()) {
      const predict = predictorOf(bundle, k)
      const score = scoreOf(bundle, predict)
      const { details } = expected
      expect(score.value).toBeCloseTo(expected.value, bundle.score.rule === 'nats' ? 5 : 12)
      expect(score).toMatchObject({ solved: expected.solved, better: expected.better })
      expect(score.chance).toBeCloseTo(expected.chance, 12)
      expect(score.firstFailure).toBe(details['first_failure'] ?? null)
      expect(score.tried).toBe(details['tried'] ?? null)
      expect(score.shares).toEqual(details['other_lengths'] ?? null)
      if (Array.isArray(details['exact'])) expect(score.exact).toEqual(details['exact'])
      if (typeof details['gap'] === 'number') expect(score.gap).toBeCloseTo(details['gap'], 5)
      expect(validationOf(bundle, predict).loss).toBeCloseTo(validation, 5)
    }
    expect(new Set(scores.map(({ score }) => score.value)).size).toBeGreaterThan(1)
  })
})

it('a prediction of NaN is wrong, wherever the NaN stands', () => {
  for (const task of ['counter', 'parity']) {
    const bundle = bundleOf(task)
    const { size } = bundle.vocabulary
    const predict: Predict = (all) => all.map((ids) => new Float32Array(ids.length * size).fill(NaN))
    expect(scoreOf(bundle, predict)).toMatchObject({ value: 0, solved: false })
  }
  const bundle = bundleOf('counter')
  const { size } = bundle.vocabulary
  // The next symbol of a^n X b^n and the end mark; ids 0 to 3 are a, X, b and the end.
  const next = (ids: Int32Array, t: number): number => (t < 2 * ids.indexOf(1) ? 2 : 3)
  const oracle =
    (value: number): Predict =>
    (all) =>
      all.map((ids) => {
        const log = new Float32Array(ids.length * size).fill(-50)
        ids.forEach((_, t) => (log[t * size + next(ids, t)] = value))
        return log
      })
  expect(scoreOf(bundle, oracle(0))).toMatchObject({ value: 1, solved: true, firstFailure: null })
  expect(scoreOf(bundle, oracle(NaN))).toMatchObject({ value: 0, solved: false })
})

it('of equally probable symbols the lowest id is the prediction', () => {
  const bundle = bundleOf('counter')
  const { size } = bundle.vocabulary
  const predict: Predict = (all) => all.map((ids) => new Float32Array(ids.length * size))
  // Every b is expected after X, and the lowest id is that of a.
  expect(scoreOf(bundle, predict).value).toBe(0)
})

it.each(INDEX.rates)(
  '$task with $changes has the learning rates of Python',
  ({ task, changes, steps, rates, validates }) => {
    const recipe: Recipe = { ...bundleOf(task).recipe, ...(changes as Partial<Recipe>) }
    steps.forEach((step, k) => expect(learningRateAt(recipe, step)).toBeCloseTo(rates[k]!, 15))
    const all = Array.from({ length: 2999 }, (_, k) => k + 1).filter((step) => step < recipe.steps)
    expect(all.filter((step) => validatesAt(recipe, step))).toEqual(validates.filter((step) => step < recipe.steps))
    expect(validatesAt(recipe, recipe.steps)).toBe(true)
  },
)

type Json = Record<string, unknown>
const part = (json: Json, ...path: string[]): Json => path.reduce((value, key) => value[key] as Json, json)

const DAMAGES: [string, string, (json: Json) => void][] = [
  ['a newer format', 'BUNDLE_FORMAT_NEWER', (json) => (json['format'] = 2)],
  ['no format', 'BUNDLE_INVALID', (json) => delete json['format']],
  ['no title', 'BUNDLE_INVALID', (json) => delete json['title']],
  ['another rule', 'BUNDLE_INVALID', (json) => (part(json, 'score')['rule'] = 'guess')],
  ['a network of other symbols', 'BUNDLE_INVALID', (json) => (part(json, 'suggested', 'network', 'vocabulary')['symbols'] = ['(', 'x', '\n'])],
  ['no training strings', 'BUNDLE_INVALID', (json) => (part(json, 'training', 'strings')['text'] = [])],
  ['a string of one symbol', 'BUNDLE_INVALID', (json) => ((part(json, 'score', 'strings')['text'] as string[])[0] = '(')],
  ['codes of another length', 'BUNDLE_INVALID', (json) => ((part(json, 'score', 'strings')['codes'] as string[])[0] = '00')],
  ['a code without a row', 'BUNDLE_INVALID', (json) => (part(json, 'score')['rows'] = [])],
  ['a level that is no number', 'BUNDLE_INVALID', (json) => ((part(json, 'score', 'strings')['level'] as unknown[])[0] = '1')],
  ['another optimizer', 'RECIPE_OPTIMIZER_UNKNOWN', (json) => (part(json, 'suggested', 'recipe')['optimizer'] = 'sgd')],
  ['no limit', 'RECIPE_SETTING_INVALID', (json) => (part(json, 'suggested', 'recipe')['steps'] = null)],
  ['a learning rate of 0', 'RECIPE_SETTING_INVALID', (json) => (part(json, 'suggested', 'recipe')['learning_rate'] = 0)],
] // prettier-ignore

it.each(DAMAGES)('a bundle with %s is refused with %s', (_, code, damage) => {
  const json = bundleJson('dyck1')
  expect(() => readBundle(json)).not.toThrow()
  damage(json)
  const read = (): Bundle => readBundle(json)
  expect(read).toThrow(EngineError)
  expect(read).toThrow(code)
})

it('every bundle is read', () => {
  expect(TASKS).toEqual(expect.arrayContaining(['counter', 'anbncn', 'text']))
})
