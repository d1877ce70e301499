// The same seed gives the initial weights of Python, and a matrix depends on nothing but its name, shape and seed.
import { describe, expect, it } from 'vitest'
import { readConfiguration } from '../../engine/configuration'
import { initialWeights, orthogonal } from '../../engine/initial-weights'
import { Generator } from '../../engine/random'
import { DRAWS, drawnArray } from './draws'

describe.each(DRAWS.weights)('the network “$name” of seed $seed', ({ name, seed, network }) => {
  const configuration = readConfiguration(network)
  const weights = initialWeights(configuration, BigInt(seed))

  it('has the weights of Python to 1e-6', () => {
    for (const [tensor, values] of weights) {
      const expected = drawnArray(`weights/${name}/${tensor}`).data as Float32Array
      expect(values.length, tensor).toBe(expected.length)
      const scale = Math.max(1e-30, ...expected.map(Math.abs))
      expected.forEach((value, k) => expect(Math.abs(values[k]! - value), tensor).toBeLessThanOrEqual(1e-6 * scale))
    }
  })

  it('has no other weights with the same seed, and others with another seed', () => {
    const other = initialWeights(configuration, BigInt(seed) ^ 1n)
    expect(initialWeights(configuration, BigInt(seed))).toEqual(weights)
    expect(other.get('readout_weights')).not.toEqual(weights.get('readout_weights'))
  })
})

it('a matrix does not depend on the sizes of other layers', () => {
  const configuration = readConfiguration(DRAWS.weights[1]!.network)
  const [, above] = configuration.layers
  const narrow = { ...configuration, layers: [above!, above!], inputs: [6, above!.neurons, above!.neurons] }
  const [small, large] = [initialWeights(narrow, 5), initialWeights(configuration, 5)]
  expect(small.get('layers.1.recurrent_weights')).toEqual(large.get('layers.1.recurrent_weights'))
})

it('orthogonal matrices are orthogonal to rounding', () => {
  for (const size of [1, 2, 60]) {
    const matrix = orthogonal(size, new Generator(size))
    for (let a = 0; a < size; a++)
      for (let b = 0; b <= a; b++) {
        let product = 0
        for (let k = 0; k < size; k++) product += matrix[a * size + k]! * matrix[b * size + k]!
        expect(Math.abs(product - (a === b ? 1 : 0))).toBeLessThan(1e-14 * size)
      }
  }
})
