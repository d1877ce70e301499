// Laws of every recurrent network, for every cell, engine and precision.
import { describe, expect, it } from 'vitest'
import type { Network, Output, RunOptions } from '../../engine/network'
import { KERNELS, RUNS, TOLERANCES } from './engines'
import { arrayOf, type Case, difference, INDEX, openCase } from './fixtures'

const LENGTHS = Int32Array.from(INDEX.lengths)
const ROWS = INDEX.rows
const STEPS = LENGTHS[0]!

type Data = Int32Array | Float32Array

const dataOf = (about: Case): Data => arrayOf(about, 'inputs').data as Data
const widthOf = ({ configuration: { vocabulary } }: Network): number =>
  vocabulary.unit === 'number' ? vocabulary.size : 1
const keepAll = ({ configuration }: Network): string[][] =>
  configuration.layers.map(({ cell }) => [...cell.signals.keys(), ...cell.drives])

/** Return the values of some rows of arrays (T, B, ...). */
function rowOf(data: Data, row: number, width: number, steps: number): Data {
  const picked = Array.from({ length: steps }, (_, t) => [
    ...data.subarray((t * ROWS + row) * width, (t * ROWS + row + 1) * width),
  ])
  return (data.constructor as unknown as { from: (values: number[]) => Data }).from(picked.flat())
}

function run(
  network: Network,
  data: Data,
  rows = ROWS,
  lengths: Int32Array | null = null,
  options: RunOptions = {},
): Output {
  return network.run(network.inputs(data, rows, lengths), { keep: keepAll(network), ...options })
}

/** Compare all arrays of two outputs; the first one has the given steps and rows of the second one. */
function largest(
  ours: Output,
  theirs: Output,
  pick: (values: ArrayLike<number>, neurons: number) => ArrayLike<number>,
  network: Network,
): number {
  let most = 0
  network.configuration.layers.forEach(({ neurons }, k) => {
    for (const [name, values] of ours.signals[k]!)
      most = Math.max(most, difference(values, pick(theirs.signals[k]!.get(name)!, neurons)))
  })
  return most
}

const whole = (values: ArrayLike<number>): ArrayLike<number> => values

describe.each(INDEX.cases.map((about) => [about.case, about] as const))('%s', (_, about) => {
  describe.each(RUNS)('in %s by the engine %s', (precision, engine) => {
    const network = openCase(about, { precision, kernels: KERNELS[engine] })
    const data = dataOf(about)
    const width = widthOf(network)
    const tolerance = TOLERANCES[precision] / 10

    it('a run in two parts is one run', () => {
      if (network.configuration.bothWays) return
      const all = run(network, data)
      const cut = 4
      const first = run(network, data.subarray(0, cut * ROWS * width))
      const second = run(network, data.subarray(cut * ROWS * width), ROWS, null, { state: first.state, first: cut })
      const from = (values: ArrayLike<number>, neurons: number): number[] =>
        Array.from(values).slice(cut * ROWS * neurons)
      expect(largest(second, all, from, network)).toBeLessThanOrEqual(tolerance)
      second.state.forEach((states, k) => {
        for (const [name, values] of states)
          expect(difference(values, all.state[k]!.get(name)!)).toBeLessThanOrEqual(tolerance)
      })
    })

    it('a row of a batch is that row alone, whatever its padding', () => {
      const all = run(network, data, ROWS, LENGTHS)
      LENGTHS.forEach((length, row) => {
        const alone = run(network, rowOf(data, row, width, length), 1)
        const pick = (values: ArrayLike<number>, neurons: number): number[] =>
          Array.from({ length }, (_, t) =>
            Array.from(values).slice((t * ROWS + row) * neurons, (t * ROWS + row + 1) * neurons),
          ).flat()
        expect(largest(alone, all, pick, network)).toBeLessThanOrEqual(tolerance)
        alone.state.forEach((states, k) => {
          const { neurons } = network.configuration.layers[k]!
          for (const [name, values] of states)
            expect(
              difference(values, all.state[k]!.get(name)!.subarray(row * neurons, (row + 1) * neurons)),
            ).toBeLessThanOrEqual(tolerance)
        })
      })
    })

    it('a change with scale 1 and shift 0 changes nothing', () => {
      const { names, layers } = network.configuration
      const interventions = names.flatMap((layer, k) =>
        [...layers[k]!.cell.signals.keys()].map((signal) => ({ layer, signal, neuron: {}, scale: 1, shift: 0 })),
      )
      expect(largest(run(network, data, ROWS, null, { interventions }), run(network, data), whole, network)).toBe(0)
    })

    it('a change of a later input leaves the steps before as they are', () => {
      if (network.configuration.bothWays) return
      const at = 5
      const other = data.slice()
      for (let k = at * ROWS * width; k < other.length; k++) other[k] = data instanceof Int32Array ? 0 : 0.75
      const before = (values: ArrayLike<number>, neurons: number): number[] =>
        Array.from(values).slice(0, at * ROWS * neurons)
      const [ours, theirs] = [run(network, other), run(network, data)]
      network.configuration.layers.forEach(({ neurons }, k) => {
        for (const [name, values] of ours.signals[k]!)
          expect(before(values, neurons)).toEqual(before(theirs.signals[k]!.get(name)!, neurons))
      })
    })

    it('a change at a step of a part is one at that step of the whole', () => {
      if (network.configuration.bothWays) return
      const { names, layers } = network.configuration
      const shift = Array.from({ length: STEPS }, (_, t) => t / 10)
      const interventions = [
        { layer: names[0]!, signal: 'h', neuron: 0, steps: { start: 3, stop: 7 }, scale: 0.5, shift: 0.25 },
        { layer: names[0]!, signal: [...layers[0]!.cell.signals.keys()][0]!, neuron: 1, steps: { start: -2 }, shift },
      ]
      const all = run(network, data, ROWS, null, { interventions })
      const cut = 4
      const options = { interventions, total: STEPS }
      const first = run(network, data.subarray(0, cut * ROWS * width), ROWS, null, options)
      const second = run(network, data.subarray(cut * ROWS * width), ROWS, null, {
        ...options,
        state: first.state,
        first: cut,
      })
      const from = (values: ArrayLike<number>, neurons: number): number[] =>
        Array.from(values).slice(cut * ROWS * neurons)
      expect(largest(second, all, from, network)).toBeLessThanOrEqual(tolerance)
      expect(largest(all, run(network, data), whole, network)).toBeGreaterThan(1e-3)
    })
  })
})
