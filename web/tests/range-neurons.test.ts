// The neurons of a range against plain loops, and the rules of the threshold.
import { expect, test } from 'vitest'
import { isInOneSequence, rangeNeurons, roundedDown } from '../src/model/range-neurons'

const STEPS = 7

/** Neuron 0 is on at steps 2 to 4, neuron 1 one step longer, neuron 2 is constant, neuron 3 is negative there. */
const rows = [
  [0, 0, 3, 2.5, 3, 0, 0],
  [0, 0, 4, 4, 4, 4, 0],
  [1, 1, 1, 1, 1, 1, 1],
  [0, 0, -2, -2, -1, 0, 0],
]
const start = Uint8Array.from([1, 0, 0, 0, 0, 0, 0])
const signal = (isOneSided = false, values = rows) => ({
  values: Float32Array.from(values.flat()),
  steps: STEPS,
  start,
  isOneSided,
})

test('the largest threshold at which a neuron is found is chosen', () => {
  const found = rangeNeurons(signal(), { first: 2, last: 4 }, null)
  expect(found.threshold).toBe(2.5)
  expect(found.neurons).toEqual([0])
  expect(found.misses).toEqual([{ neuron: 1, sign: 1, on: 3, before: false, after: true }])
  expect(found.constant).toBe(1)
})

test('a threshold by hand finds both signs, and lists how the others miss', () => {
  const found = rangeNeurons(signal(), { first: 2, last: 4 }, 1)
  expect(found.neurons).toEqual([0, 3])
  expect(found.misses.map(({ neuron }) => neuron)).toEqual([1, 2])
  expect(found.misses[1]).toEqual({ neuron: 2, sign: 1, on: 3, before: true, after: true })
  expect(rangeNeurons(signal(true), { first: 2, last: 4 }, 1).neurons).toEqual([0])
})

test('without a neuron that fits, the nearest miss decides', () => {
  const found = rangeNeurons(signal(), { first: 1, last: 3 }, null)
  expect(found.neurons).toEqual([])
  // Neuron 3 is low at two of three steps, and already higher just after them.
  expect(found.threshold).toBe(2)
  expect(found.misses[0]).toEqual({ neuron: 3, sign: -1, on: 2, before: false, after: false })
  expect(found.misses.map(({ neuron }) => neuron)).toEqual([3, 0, 1])
})

test('constant neurons and missing values find nothing', () => {
  const constant = rangeNeurons(signal(false, [rows[2]!, rows[2]!]), { first: 2, last: 4 }, null)
  expect(constant).toMatchObject({ neurons: [], constant: 2 })
  const missing = rangeNeurons(signal(false, [rows[0]!.map(() => NaN)]), { first: 2, last: 4 }, null)
  expect(missing).toMatchObject({ neurons: [], misses: [], constant: 1 })
})

test('the ends of a sequence have no step around them', () => {
  const found = rangeNeurons(signal(), { first: 0, last: 6 }, null)
  expect(found).toMatchObject({ threshold: 1, neurons: [2] })
  expect(isInOneSequence(Uint8Array.from([1, 0, 1, 0]), { first: 0, last: 1 })).toBe(true)
  expect(isInOneSequence(Uint8Array.from([1, 0, 1, 0]), { first: 1, last: 2 })).toBe(false)
})

test('thresholds are rounded down to few digits', () => {
  expect(roundedDown(9.8399, 5)).toBe(9.83)
  expect(roundedDown(-9.8399, -20)).toBe(-9.84)
  expect(roundedDown(0.123456, 0.12344)).toBe(0.12345)
  expect(roundedDown(1e-30, 0)).toBe(1e-30)
  expect(roundedDown(1, 1 - 2 ** -53)).toBe(1)
})
