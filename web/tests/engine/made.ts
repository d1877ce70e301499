// Networks with random weights, made of a built-in cell.
import type { Hold } from '../../engine/holds'
import { BUILTIN_CELLS } from '../../engine/builtin-cells'
import { Network } from '../../engine/network'
import { expectedTensors, readConfiguration } from '../../engine/configuration'
import { Generator } from '../../engine/random'
import { type Tensor, writeTensors } from '../../engine/tensors'

/** Return a network of symbols with one layer, and weights of the size that training begins with. */
export function madeNetwork(cell: string, neurons: number, symbols = 'ab\n'): Network {
  const { tape } = BUILTIN_CELLS.find(({ name }) => name === cell)!
  const json = {
    format: 3,
    cells: { [cell]: { name: cell, title: cell, paper: '', tape: JSON.parse(tape) as unknown } },
    layers: [{ cell, neurons, reverse: false, initial: false, stacked: false }],
    vocabulary: { unit: 'character', symbols: [...symbols], end: '\n', other: null },
    embedding: null,
    dropout: 0,
    readout: { kind: 'symbols', names: [], quantiles: [], reads: 'every step' },
    hidden: [],
  }
  const generator = new Generator(1, 'made')
  const tensors = new Map<string, Tensor>()
  for (const [name, shape] of expectedTensors(readConfiguration(json))) {
    const size = shape.reduce((product, length) => product * length, 1)
    const data = Float32Array.from({ length: size }, () => generator.normal() / Math.sqrt(neurons))
    tensors.set(name, { shape, data })
  }
  return Network.open(json, writeTensors({ metadata: {}, tensors }))
}

/** Return a hold of c of neuron 1 over the whole text, but for a change. */
export const hold = (change: Partial<Hold>): Hold => ({
  layer: 'layer0',
  neuron: 1,
  signal: 'c',
  value: 0.75,
  first: 0,
  last: null,
  ...change,
})
