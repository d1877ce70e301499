// Ties go to the lowest id, in every place that takes the largest of several numbers.
import { expect, it } from 'vitest'
import { Network } from '../../engine/network'
import { Generator } from '../../engine/random'
import { largest, ranked } from '../../engine/ranking'
import { MAX_PREDICTIONS, Recorder } from '../../engine/recording'
import { readTensors, writeTensors } from '../../engine/tensors'
import { DRAWS, drawnArray } from './draws'

const generator = new Generator(0, 'ranking')
const rows = Array.from({ length: 200 }, () =>
  Float32Array.from({ length: 1 + generator.below(60) }, () => generator.below(5) - 2),
)

/** Sort pairs of value and id. */
function byPairs(values: Float32Array): number[] {
  const pairs = Array.from(values, (value, id) => ({ value, id }))
  return pairs.sort((a, b) => (a.value === b.value ? a.id - b.id : b.value - a.value)).map(({ id }) => id)
}

it('ranked sorts by value, then by id', () => {
  for (const values of rows)
    for (const count of [0, 1, 5, 32, 33, 99]) expect(ranked(values, count)).toEqual(byPairs(values).slice(0, count))
})

it('largest is the first of ranked', () => {
  for (const values of rows) expect(largest(values)).toBe(byPairs(values)[0])
})

it('NaN counts as larger than every number', () => {
  const values = [1, NaN, Infinity, NaN, -0, 0]
  for (const count of [6, 60]) expect(ranked(values, count)).toEqual([1, 3, 2, 0, 4, 5])
  expect(largest(values)).toBe(1)
})

/** Return the most probable symbols that a trace records after each step, if the readout's biases alone decide. */
function recorded(biases: number[]): number[][] {
  const { name, network } = DRAWS.texts[0]!
  const file = readTensors((drawnArray(`texts/${name}`).data as Uint8Array<ArrayBuffer>).slice().buffer)
  ;(file.tensors.get('readout_weights')!.data as Float64Array).fill(0)
  ;(file.tensors.get('readout_biases')!.data as Float64Array).set(biases)
  const { sequences } = new Recorder(Network.open(network, writeTensors(file))).record('ab')
  const { topTokens, steps } = sequences[0]!
  const ranks = MAX_PREDICTIONS
  return Array.from({ length: steps }, (_, step) => [...topTokens.slice(step * ranks, (step + 1) * ranks)])
}

it('equal predictions are recorded by id', () => {
  expect(recorded([0, 1, 0, 1, 1, 0])).toEqual([[1, 3, 4, 0, 2], [1, 3, 4, 0, 2]]) // prettier-ignore
})

it('logits rank what rounding makes equal', () => {
  const biases = [1e-9, 2e-9, -20, -20, -20, -20]
  const sum = Math.fround(Math.log(biases.reduce((total, bias) => total + Math.exp(bias), 0)))
  expect(Math.fround(biases[0]! - sum)).toBe(Math.fround(biases[1]! - sum))
  expect(recorded(biases)).toEqual([[1, 0, 2, 3, 4], [1, 0, 2, 3, 4]]) // prettier-ignore
})
