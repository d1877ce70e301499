// The law of the engines: every cell, engine, signal, precision and intervention gives the numbers of Python.
import { describe, expect, it } from 'vitest'
import type { Network, Output } from '../../engine/network'
import { KERNELS, RUNS, TOLERANCES } from './engines'
import { arrayOf, type Case, difference, INDEX, openCase } from './fixtures'

const LENGTHS = Int32Array.from(INDEX.lengths)

function runCase(network: Network, about: Case, changed: boolean): Output {
  const data = arrayOf(about, 'inputs').data as Int32Array | Float32Array
  return network.run(network.inputs(data, INDEX.rows, LENGTHS), {
    keep: network.configuration.layers.map(({ cell }) => [...cell.signals.keys(), ...cell.drives]),
    interventions: changed ? about.interventions : [],
  })
}

/** Whether the kernels have every cell of a case: not the cell of the fixtures' own. */
const isBuiltIn = ({ case: name }: Case): boolean => !name.startsWith('own/')

describe.each(INDEX.cases.map((about) => [about.case, about] as const))('%s', (_, about) => {
  describe.each(RUNS)('in %s by the engine %s', (precision, engine) => {
    it.each(['free', 'changed'])('%s: every signal, drive, state and prediction', (label) => {
      const network = openCase(about, { precision, kernels: KERNELS[engine] })
      const { names } = network.configuration
      const output = runCase(network, about, label === 'changed')
      const expected = engine !== 'plain' && isBuiltIn(about) ? 'native' : 'plain'
      expect(new Set(output.engines)).toEqual(new Set([expected]))
      const wrong: string[] = []
      const compare = (name: string, values: ArrayLike<number>): void => {
        const off = difference(values, arrayOf(about, `${precision}/${label}/${name}`).data)
        if (!(off <= TOLERANCES[precision])) wrong.push(`${name}: ${off}`)
      }
      names.forEach((layer, k) => {
        for (const [name, values] of output.signals[k]!) compare(`${layer}.${name}`, values)
        for (const [name, values] of output.state[k]!) compare(`${layer}.final.${name}`, values)
      })
      compare('logits', network.readOut(output.top, INDEX.rows * LENGTHS[0]!))
      const inputs = network.inputs(arrayOf(about, 'inputs').data as Int32Array | Float32Array, INDEX.rows, LENGTHS)
      compare('last', network.readOut(network.atLastStep(output.top, inputs), INDEX.rows))
      expect(wrong).toEqual([])
    })
  })
})
